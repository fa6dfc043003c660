"""The login page and the gate before everything else, by name and password."""

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router

import fastchat
from fastchat.access.addresses import TrustedProxies
from fastchat.access.cookies import SESSION
from fastchat.access.directory import Directory
from fastchat.access.gate import LoginGate
from fastchat.access.keys import KeyRing
from fastchat.access.limits import RateLimit, parse_rules
from fastchat.access.oidc import Oidc, OidcSettings
from fastchat.access.passwords import Passwords, hash_password
from fastchat.access.sign_in import SignIn, SignInOptions, safe_path
from fastchat.access.visitors import Visitors
from tests.clocks import Clock

KEY = b"k" * 32
LOGIN = {"username": "ada", "password": "enigma"}
OURS = {"sec-fetch-site": "same-origin"}


class Site:
    """A server with a login, which two people and a key may enter; and a browser."""

    def __init__(self, options: SignInOptions | None = None, *, oidc: Oidc | None = None, **more: Any) -> None:
        self.clock = Clock()
        people = {"passwords": Passwords({"ada": "enigma", "bob": "b:c"}), "ring": KeyRing.load(["sk-1"])}
        self.directory = Directory(**(people | more))
        self.options = options or SignInOptions()
        self.proxies = TrustedProxies.parse(["loopback"])
        self.oidc = oidc
        self.browser = self.new_browser()

    def new_browser(self, peer: str = "203.0.113.7") -> httpx.AsyncClient:
        visitors = Visitors(KEY, self.directory, self.proxies, clock=self.clock)

        async def who(request: Request) -> Response:
            person = visitors.of(request).person
            return JSONResponse([person.name, person.role] if person else None)

        app = Router([*SignIn(visitors, self.oidc, self.options).routes(), Route("/who", who, methods=["GET", "POST"])])
        gate = LoginGate(app, visitors, root=self.options.root)
        transport = httpx.ASGITransport(gate, client=(peer, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://chat.example")

    async def sign_in(self, **changes: str) -> httpx.Response:
        return await self.browser.post("/login", data=LOGIN | changes, headers=OURS)

    async def who(self) -> Any:
        reply = await self.browser.get("/who")
        return reply.json() if reply.status_code == 200 else reply.status_code


@pytest.fixture
def site() -> Site:
    return Site()


async def test_a_browser_is_sent_to_the_login_and_back(site: Site) -> None:
    sent = await site.browser.get("/who?x=1&y=2", headers={"accept": "text/html"})
    assert sent.status_code == 303
    page = await site.browser.get(sent.headers["location"])
    assert page.status_code == 200
    assert re.search(r'name="next" value="/who\?x=1&amp;y=2"', page.text)
    back = await site.sign_in(next="/who?x=1&y=2")
    assert (back.status_code, back.headers["location"]) == (303, "/who?x=1&y=2")
    assert await site.who() == ["ada", "voter"]


async def test_a_program_is_told_to_sign_in_or_shows_a_key(site: Site) -> None:
    refused = await site.browser.post("/who")
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    assert (await site.browser.get("/who", headers={"authorization": "Bearer sk-2"})).status_code == 401
    assert (await site.browser.get("/who", headers={"authorization": "Bearer sk-1"})).json() == ["key-1", "voter"]


async def test_without_logins_the_gate_stands_open() -> None:
    site = Site(passwords=Passwords({}))
    assert await site.who() is None


@pytest.mark.parametrize(
    "given", [{"password": "wrong"}, {"username": "eve"}, {"username": "", "password": ""}, {"username": "bob"}]
)
async def test_who_is_wrong_is_told_neither_which_nor_let_in(site: Site, given: dict[str, str]) -> None:
    refused = await site.sign_in(**given)
    assert refused.status_code == 401
    assert "The name or the password is not right." in refused.text
    assert "wrong" not in refused.text
    assert SESSION not in site.browser.cookies
    assert await site.who() == 401


async def test_the_session_is_for_the_browser_only(site: Site) -> None:
    cookie = (await site.sign_in()).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "enigma" not in cookie


async def test_behind_tls_the_session_is_secure(site: Site) -> None:
    behind = site.new_browser("127.0.0.1")
    reply = await behind.post("/login", data=LOGIN, headers=OURS | {"x-forwarded-proto": "https"})
    assert "Secure" in reply.headers["set-cookie"].split("; ")


async def test_a_session_ends(site: Site) -> None:
    await site.sign_in()
    site.clock.advance(site.options.session_s - 1)
    assert await site.who() == ["ada", "voter"]
    site.clock.advance(1)
    assert await site.who() == 401


async def test_signing_out_takes_the_cookie_back(site: Site) -> None:
    await site.sign_in()
    left = await site.browser.post("/logout", headers=OURS)
    assert left.status_code == 303
    assert SESSION not in site.browser.cookies
    assert await site.who() == 401


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"passwords": Passwords({"ada": "another", "bob": "b:c"})}, 401),  # the password was changed
        ({"passwords": Passwords({"bob": "b:c"})}, 401),  # she has left
        ({"admins": {"ada"}}, ["ada", "admin"]),
    ],
)
async def test_a_session_follows_the_files(site: Site, more: dict[str, Any], expected: Any) -> None:
    await site.sign_in()
    later = Site(**more)
    later.browser.cookies.set(SESSION, site.browser.cookies[SESSION])
    assert await later.who() == expected


async def test_a_session_cannot_be_made_up(site: Site) -> None:
    await site.sign_in()
    text, _, signed = site.browser.cookies[SESSION].partition(".")
    for made_up in (f"{text}.{'0' * 64}", f"{text}A.{signed}", f".{signed}", text, ""):
        other = site.new_browser()
        other.cookies.set(SESSION, made_up)
        assert (await other.get("/who")).status_code == 401


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}])
async def test_no_other_site_signs_anybody_in_or_out(site: Site, path: str, headers: dict[str, str]) -> None:
    await site.sign_in()
    refused = await site.browser.post(path, data=LOGIN, headers=headers)
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers
    assert await site.who() == ["ada", "voter"]


@pytest.mark.parametrize(
    "wanted",
    [
        *(
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " //evil.example",
        ),
        *("https://evil.example", "javascript:alert(1)", "evil.example", "", "/a\r\nset-cookie: x=y", "/" + "a" * 3000),
        *("/a\\b", "/\x7f", "/ /evil.example", "/\u3000/evil"),
    ],
)
async def test_the_login_leads_to_no_other_site(site: Site, wanted: str) -> None:
    assert safe_path(wanted) == "/"
    assert (await site.sign_in(next=wanted)).headers["location"] == "/"
    assert (await site.browser.get("/login", params={"next": wanted})).headers["location"] == "/"  # signed in already


@pytest.mark.parametrize("wanted", ["/", "/battle?a=/b&c=//d", "/s/1#x", "/%E4"])
def test_paths_of_ours_are_kept(wanted: str) -> None:
    assert safe_path(wanted) == wanted


async def test_attempts_are_limited_by_address() -> None:
    site = Site(SignInOptions(by_address=RateLimit(parse_rules("2/minute"))))
    assert [(await site.sign_in(username=name)).status_code for name in "xy"] == [401, 401]
    refused = await site.sign_in()
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 30
    assert "Too many login attempts" in refused.text
    spoofed = await site.browser.post("/login", data=LOGIN, headers=OURS | {"x-forwarded-for": "198.51.100.4"})
    assert spoofed.status_code == 429
    site.browser = site.new_browser("198.51.100.4")
    assert (await site.sign_in()).status_code == 303


async def test_attempts_are_limited_by_name() -> None:
    site = Site(SignInOptions(by_name=RateLimit(parse_rules("2/minute"))))
    for peer, status in [("198.51.100.1", 401), ("198.51.100.2", 401), ("198.51.100.3", 429)]:
        site.browser = site.new_browser(peer)
        assert (await site.sign_in(password="wrong")).status_code == status
    assert (await site.sign_in(username="bob", password="b:c")).status_code == 303


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"username": "ada", "password": "enigma"}', "application/json", 400),
        (b"username=ada&password=enigma", "text/plain", 400),
        (b"\xff=%ff", "application/x-www-form-urlencoded", 400),
        (b"a=" + b"b" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"&".join([b"a=b"] * 50), "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 401),
        (b"username=%00&password=%00", "application/x-www-form-urlencoded; charset=utf-8", 401),
    ],
)
async def test_what_is_no_form_is_refused(site: Site, content: bytes, kind: str, status: int) -> None:
    reply = await site.browser.post("/login", content=content, headers=OURS | {"content-type": kind})
    assert reply.status_code == status
    assert 'role="alert"' in reply.text


async def test_under_a_path_everything_stays_under_it() -> None:
    site = Site(SignInOptions(public_url="https://corp.example/arena"))
    sent = await site.browser.get("/who", headers={"accept": "text/html"})
    assert sent.headers["location"] == "/arena/login?next=/who"
    page = await site.browser.get("/login", params={"next": "/who"})
    assert 'action="/arena/login"' in page.text
    assert (await site.sign_in(next="/who")).headers["location"] == "/arena/who"


class Page(HTMLParser):
    """What a browser and a screen reader make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.labelled: list[str] = []
        self._in_label = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_label |= tag == "label"
        if tag == "input" and self._in_label:
            self.labelled.append(dict(attrs)["name"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_label &= tag != "label"


def provider() -> Oidc:
    return Oidc(OidcSettings(issuer="https://id.example", client_id="x", title="Corp <SSO>"))


async def test_the_page_asks_nobody_else_and_tells_screen_readers_what_is_what(site: Site) -> None:
    site = Site(oidc=provider(), has_oidc=True)
    reply = await site.browser.get("/login?next=/a%3Cb%3E%22")
    page = Page(reply.text)
    assert page.labelled == ["username", "password"]
    assert ("html", {"lang": "en"}) in page.elements
    addresses = [value or "" for _, attrs in page.elements for name, value in attrs.items() if name in ("src", "href")]
    assert addresses == ["data:,", "/login/oidc?next=/a%3Cb%3E%22"]
    assert "script" not in [tag for tag, _ in page.elements]
    assert "http" not in re.sub(r"<[^>]*http-equiv[^>]*>", "", reply.text)
    assert "Corp &lt;SSO&gt;" in reply.text
    assert reply.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in reply.headers["content-security-policy"]


async def test_what_somebody_typed_is_shown_as_text(site: Site) -> None:
    reply = await site.sign_in(username='"><script>alert(1)</script>', password="x", next='/"><script>')
    assert "<script" not in reply.text
    assert 'value="&#34;&gt;&lt;script&gt;' in reply.text


async def test_the_page_offers_only_the_ways_there_are() -> None:
    by_password = await Site().browser.get("/login")
    assert "Sign in with" not in by_password.text
    by_provider = await Site(oidc=provider(), has_oidc=True, passwords=Passwords({})).browser.get("/login")
    assert "<form" not in by_provider.text
    assert "Sign in with" in by_provider.text
    neither = await Site(passwords=Passwords({})).browser.get("/login")
    assert "There are no logins" in neither.text


def test_its_colours_are_those_of_the_page() -> None:
    package = Path(fastchat.__file__).parent
    login = (package / "access" / "pages" / "login.html").read_text("utf-8")
    theme = (package / "web" / "theme.py").read_text("utf-8")
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in re.findall(r":root \{(.*?)\}", login, re.DOTALL)
    )
    ours = {name: (light[name], dark[name]) for name in light if not name.startswith("warn")}
    found = re.findall(r'^([A-Z_]+) = \("(#\w+)", "(#\w+)"\)$', theme, re.MULTILINE)
    theirs = {name.lower().replace("_", "-"): (day, night) for name, day, night in found}
    assert ours == {name: theirs[name] for name in ours}
    assert len(ours) == 8


async def test_many_logins_at_once_leave_the_loop_free() -> None:
    """Hashing takes a tenth of a second of one core; it must not stand in everybody's way."""
    site = Site(passwords=Passwords({"ada": hash_password("enigma")}))
    logins = asyncio.gather(*(site.sign_in() for _ in range(4)))
    others = 0
    while not logins.done():
        await asyncio.sleep(0.001)
        others += 1
    assert {reply.status_code for reply in await logins} == {303}
    assert others > 20


async def test_open_paths_need_no_login(site: Site) -> None:
    visitors = Visitors(KEY, site.directory)
    app = LoginGate(PlainTextResponse("open"), visitors, open_paths=("/health", "/s/"))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example")
    assert [(await client.get(path)).status_code for path in ("/health", "/s/1")] == [200, 200]
    assert [(await client.get(path)).status_code for path in ("/health/x", "/s", "/", "//s/1")] == [401] * 4
