"""Metrics tell which model is at work, so not everybody may read them where battles are blind."""

import pytest
from starlette.types import Scope

from fastchat.access.addresses import TrustedProxies
from fastchat.access.keys import KeyRing
from fastchat.core.errors import PermissionDenied, SetupError
from fastchat.gateway.insiders import Insiders

NGINX = TrustedProxies.parse(["10.0.0.9"])


def call(peer: str | None, **headers: str) -> Scope:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "client": (peer, 1) if peer else None, "headers": named, "scheme": "http"}


INSIDE = [
    call("127.0.0.1"),
    call("::1"),
    call(None),  # a Unix socket
    call("192.168.7.7"),
    call("10.0.0.9", x_forwarded_for="192.168.7.7"),
    call("203.0.113.5", authorization="Bearer sk-team"),
]
OUTSIDE = [
    call("203.0.113.5"),
    call("203.0.113.5", authorization="Bearer sk-other"),
    call("203.0.113.5", x_forwarded_for="127.0.0.1"),
    call("127.0.0.1", x_forwarded_for="127.0.0.1"),  # a proxy of this machine that nobody named
    call("10.0.0.9", x_forwarded_for="203.0.113.5"),
    call("10.0.0.9", x_forwarded_for="127.0.0.1, 203.0.113.5"),
]


@pytest.fixture
def insiders() -> Insiders:
    return Insiders(KeyRing.load(["sk-team"]), proxies=NGINX, networks=["192.168.0.0/16"])


@pytest.mark.parametrize("scope", INSIDE, ids=str)
def test_who_may_see(insiders: Insiders, scope: Scope) -> None:
    insiders.check(scope)


@pytest.mark.parametrize("scope", OUTSIDE, ids=str)
def test_who_may_not(insiders: Insiders, scope: Scope) -> None:
    with pytest.raises(PermissionDenied, match="--metrics-from"):
        insiders.check(scope)


def test_without_keys_an_empty_one_opens_nothing() -> None:
    with pytest.raises(PermissionDenied):
        Insiders(KeyRing({})).check(call("203.0.113.5"))


def test_a_network_has_to_be_one() -> None:
    with pytest.raises(SetupError, match="no network"):
        Insiders(KeyRing({}), networks=["office"])
