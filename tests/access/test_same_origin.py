import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from fastchat.access.addresses import TrustedProxies
from fastchat.access.same_origin import SameOriginOnly, require_same_origin
from fastchat.core.errors import PermissionDenied
from tests.access.calls import call

PROXIES = TrustedProxies.parse(["loopback"])
HOST = ("host", "chat.example:8000")


def is_taken(*headers: tuple[str, str], peer: str = "203.0.113.7") -> bool:
    try:
        require_same_origin(call(*headers, peer=peer, method="POST"), PROXIES)
    except PermissionDenied:
        return False
    return True


@pytest.mark.parametrize(
    ("site", "taken"), [("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False), ("", False)]
)
def test_browsers_say_where_a_call_comes_from(site: str, taken: bool) -> None:
    assert is_taken(HOST, ("sec-fetch-site", site), ("origin", "http://chat.example:8000")) is taken


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        ("http://chat.example:8000", True),
        ("https://chat.example:8000", True),  # a proxy that nobody told us of speaks TLS
        ("http://CHAT.example:8000", True),
        ("http://chat.example", False),
        ("http://chat.example:8001", False),
        ("http://evil.example:8000", False),
        ("http://chat.example:8000.evil.example", False),
        ("http://chat.example.evil.example:8000", False),
        ("http://chat.example:8000@evil.example", False),
        ("null", False),
        ("", False),
        ("http://chat.example:port", False),
    ],
)
def test_older_ones_and_plain_http_tell_the_origin(origin: str, taken: bool) -> None:
    assert is_taken(HOST, ("origin", origin)) is taken


def test_a_standard_port_need_not_be_written() -> None:
    assert is_taken(("host", "chat.example:443"), ("origin", "https://chat.example"))
    assert is_taken(("host", "[::1]"), ("origin", "http://[::1]:80"))


def test_programs_say_nothing() -> None:
    assert is_taken(HOST)


def test_our_name_is_what_a_trusted_proxy_says_it_is() -> None:
    headers = [("host", "inner:7860"), ("x-forwarded-host", "chat.example"), ("origin", "https://chat.example")]
    assert is_taken(*headers, peer="127.0.0.1")
    assert not is_taken(*headers)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"cookie": "a=b", "sec-fetch-site": "cross-site"}, 403),
        ("DELETE", {"cookie": "a=b", "sec-fetch-site": "cross-site"}, 403),
        ("POST", {"cookie": "a=b", "origin": "http://evil.example"}, 403),
        ("POST", {"cookie": "a=b", "sec-fetch-site": "same-origin"}, 200),
        ("GET", {"cookie": "a=b", "sec-fetch-site": "cross-site"}, 200),
        ("POST", {"authorization": "Bearer sk", "origin": "http://evil.example"}, 200),  # a key is no cookie
    ],
)
def test_what_changes_something_by_cookie_comes_from_our_pages(
    method: str, headers: dict[str, str], status: int
) -> None:
    client = TestClient(SameOriginOnly(PlainTextResponse("done"), PROXIES))
    reply = client.request(method, "/api/arena/votes", headers=headers)
    assert reply.status_code == status
    if status == 403:
        assert reply.json()["error"]["code"] == "permission_denied"
