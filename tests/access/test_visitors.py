from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from fastchat.access.addresses import TrustedProxies
from fastchat.access.cookies import VOTER
from fastchat.access.directory import Directory
from fastchat.access.keys import KeyRing, new_key
from fastchat.access.people import Person, Role, Visitor
from fastchat.access.visitors import Visitors, VoterCookies
from fastchat.core.errors import AuthenticationFailed, PermissionDenied
from tests.access.calls import call

KEY = b"k" * 32
NUMBER = "0123456789abcdef" * 2
COOKIE = ("cookie", f"theme=dark; {VOTER}={NUMBER}")
HTML = ("accept", "text/html,*/*")


def ring_of(name: str, role: Role = Role.VOTER) -> tuple[str, KeyRing]:
    made = new_key(name, role)
    return made.key, KeyRing({made.line.split(":")[2]: Person(name, role)})


def test_a_browser_is_known_by_a_hash_of_its_cookie() -> None:
    visitors = Visitors(KEY)
    visitor = visitors.identify(call(COOKIE))
    assert visitor == visitors.identify(call(COOKIE))
    assert visitor.voter_key != visitors.identify(call(("cookie", f"{VOTER}={NUMBER[::-1]}"))).voter_key
    assert visitor.voter_key != Visitors(b"other").identify(call(COOKIE)).voter_key
    assert NUMBER not in repr(visitor)
    assert "203.0.113.7" not in repr(visitor)
    assert (visitor.person, visitor.role, visitor.is_admin) == (None, Role.VOTER, False)


def test_without_a_cookie_everybody_is_somebody_new() -> None:
    visitors = Visitors(KEY)
    keys = {visitors.identify(call(*cookie)).voter_key for cookie in [(), (), [("cookie", f"{VOTER}=made-up")]]}
    assert len(keys) == 3


def test_a_key_makes_a_person_whatever_the_browser() -> None:
    key, ring = ring_of("ada", Role.ADMIN)
    visitors = Visitors(KEY, Directory(ring=ring))
    bearer = visitors.identify(call(("authorization", f"Bearer {key}"), COOKIE))
    assert bearer.person == Person("ada", Role.ADMIN)
    assert bearer.voter_key == visitors.identify(call(("x-api-key", key))).voter_key
    assert bearer.is_admin


def test_a_wrong_key_is_not_taken_for_nobody() -> None:
    _, ring = ring_of("ada")
    with pytest.raises(AuthenticationFailed):
        Visitors(KEY, Directory(ring=ring)).identify(call(("authorization", "Bearer wrong"), COOKIE))
    assert Visitors(KEY).identify(call(("authorization", "Bearer wrong"))).person is None  # no keys, no lock


def test_admins_are_let_in_and_others_told_why_not() -> None:
    admin = Person("ada", Role.ADMIN)
    assert Visitor("v", "a", admin).require_admin() == admin
    with pytest.raises(PermissionDenied, match="bob"):
        Visitor("v", "a", Person("bob")).require_admin()
    with pytest.raises(AuthenticationFailed, match="Sign in"):
        Visitor("v", "a").require_admin()


def test_names_of_admins_count_for_every_source() -> None:
    key, ring = ring_of("ada")
    visitor = Visitors(KEY, Directory(ring=ring, admins={"ada"})).identify(call(("x-api-key", key)))
    assert visitor.is_admin


def test_the_address_is_what_trusted_proxies_say() -> None:
    visitors = Visitors(KEY, proxies=TrustedProxies.parse(["loopback"]))
    direct = visitors.identify(call())
    assert direct.address_hash == visitors.identify(call(("x-forwarded-for", "203.0.113.7"), peer="::1")).address_hash
    assert direct.address_hash != visitors.identify(call(("x-forwarded-for", "6.6.6.6"), peer="::1")).address_hash
    assert direct.address_hash == visitors.identify(call(("x-forwarded-for", "6.6.6.6"))).address_hash


class GradioRequest:
    """As Gradio's: a wrapper that, once pickled, has lost the request and kept copies of its parts."""

    def __init__(self, request: Request | None, **kept: Any) -> None:
        self.request, self.kept = request, kept

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "kept":
            raise AttributeError(name)
        return self.kept[name] if self.request is None else getattr(self.request, name)


@pytest.mark.parametrize("peer", ["203.0.113.7", "127.0.0.1"])
def test_a_request_of_starlette_or_gradio_tells_the_same(peer: str) -> None:
    visitors = Visitors(KEY, proxies=TrustedProxies.parse(["loopback"]))
    scope = call(COOKIE, ("x-forwarded-for", "198.51.100.4"), peer=peer)
    request = Request(scope)
    kept = {"headers": dict(request.headers), "client": SimpleNamespace(host=peer, port=1)}
    expected = visitors.identify(scope)
    assert visitors.of(request) == expected
    assert visitors.of(GradioRequest(request)) == expected
    assert visitors.of(GradioRequest(None, **kept)) == expected


async def opened(
    scope: Scope, proxies: TrustedProxies | None = None, **headers: str
) -> tuple[list[str], Mapping[str, str], Scope]:
    """The cookies that are set, all headers, and the scope as the app saw it."""
    seen: list[Scope] = []
    started: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await PlainTextResponse("", headers=headers)(scope, receive, send)

    async def send(message: Any) -> None:
        started.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    await VoterCookies(app, proxies or TrustedProxies())(scope, receive, send)
    sent = [(name.decode(), value.decode()) for name, value in started[0]["headers"]]
    return [value for name, value in sent if name == "set-cookie"], dict(sent), seen[0]


async def test_a_first_visit_gets_a_number_that_counts_at_once() -> None:
    [cookie], headers, scope = await opened(call(HTML))
    value, *flags = cookie.split("; ")
    assert sorted(flags) == ["HttpOnly", "Max-Age=31536000", "Path=/", "SameSite=Lax"]
    assert headers["cache-control"] == "no-store"
    visitors = Visitors(KEY)
    assert visitors.identify(scope).voter_key == visitors.identify(call(("cookie", value))).voter_key


async def test_two_first_visits_get_two_numbers() -> None:
    assert len({(await opened(call(HTML)))[0][0] for _ in range(2)}) == 2


@pytest.mark.parametrize(
    ("scope", "is_given"),
    [
        (call(HTML), True),
        (call(path="/api/arena/battles", method="POST"), True),
        (call(HTML, COOKIE), False),
        (call(HTML, ("cookie", f"{VOTER}=made-up")), True),
        (call(("accept", "*/*"), path="/assets/index.js"), False),
        (call(path="/health"), False),
        (call(HTML, method="POST"), False),
        (call(("authorization", "Bearer sk-1"), path="/api/arena/battles"), False),
    ],
)
async def test_who_gets_a_cookie(scope: Scope, is_given: bool) -> None:
    cookies, _, _ = await opened(scope)
    assert bool(cookies) is is_given


async def test_the_cookie_is_secure_where_the_browser_speaks_tls() -> None:
    proxies = TrustedProxies.parse(["loopback"])
    behind = call(HTML, ("x-forwarded-proto", "https"), peer="127.0.0.1")
    assert "Secure" in (await opened(behind, proxies))[0][0]
    assert "Secure" not in (await opened(behind))[0][0]
    assert "Secure" in (await opened(call(HTML, scheme="https")))[0][0]


async def test_a_copy_of_the_headers_tells_no_other_address() -> None:
    """Gradio keeps the first line of a header, and a proxy that adds a second has the client's word in the first."""
    lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.7")]
    _, _, scope = await opened(call(COOKIE, *lines, peer="127.0.0.1"))
    assert dict(Request(scope).headers)["x-forwarded-for"] == "6.6.6.6, 203.0.113.7"
    visitors = Visitors(KEY, proxies=TrustedProxies.parse(["loopback"]))
    assert visitors.identify(scope).address_hash == visitors.identify(call(COOKIE)).address_hash


async def test_an_answers_own_cache_control_stays() -> None:
    _, headers, _ = await opened(call(HTML), **{"cache-control": "private"})
    assert headers["cache-control"] == "private"
