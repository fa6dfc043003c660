"""The whole way over a provider and back, with a real provider's protocol on loopback."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from fastchat.access.cookies import SESSION, SIGNING_IN
from fastchat.access.directory import Directory
from fastchat.access.oidc import Oidc, OidcSettings
from fastchat.access.sign_in import SignIn, SignInOptions
from fastchat.access.visitors import Visitors
from fastchat.core.errors import SetupError
from tests.access.fake_oidc import CLIENT_ID, CLIENT_SECRET, FakeOidc
from tests.client.providers.servers import serving
from tests.clocks import Clock

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = b"k" * 32
PAGE = "http://chat.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[FakeOidc]:
    fake = FakeOidc()
    async with serving(fake.routes()) as url:
        fake.issuer = url
        yield fake


@pytest.fixture
def provider(running: FakeOidc) -> FakeOidc:
    """As new: only its address and its key stay from test to test."""
    vars(running).update(vars(FakeOidc(issuer=running.issuer, key=running.key)))
    return running


def settings_for(provider: FakeOidc, **more: Any) -> OidcSettings:
    return OidcSettings(issuer=provider.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, **more)


class Browser:
    """One reader's browser, and our server in the same loop."""

    def __init__(
        self, settings: OidcSettings, options: SignInOptions | None = None, clock: Clock | None = None, **people: Any
    ) -> None:
        visitors = Visitors(KEY, Directory(has_oidc=True, **people), clock=clock or time.time)

        async def who(request: Request) -> Response:
            person = visitors.of(request).person
            return JSONResponse([person.name, person.role] if person else None)

        sign_in = SignIn(visitors, Oidc(settings), options)
        app = Router([*sign_in.routes(), Route("/who", who)])
        self.ours = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PAGE)

    async def depart(self, wanted: str = "/battle?x=1") -> str:
        """To the provider and as far as the address that it sends the browser back to."""
        left = await self.ours.get("/login/oidc", params={"next": wanted})
        assert left.status_code == 303, left.text
        async with httpx.AsyncClient() as away:
            back = await away.get(left.headers["location"])
        return back.headers["location"]

    async def sign_in(self) -> httpx.Response:
        return await self.ours.get(await self.depart())

    async def who(self) -> Any:
        return (await self.ours.get("/who")).json()


async def test_somebody_comes_back_signed_in_and_to_where_he_wanted(provider: FakeOidc) -> None:
    browser = Browser(settings_for(provider))
    arrived = await browser.sign_in()
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/battle?x=1")
    assert await browser.who() == ["ada@corp.example", "voter"]
    assert SIGNING_IN not in browser.ours.cookies


async def test_the_code_is_bound_to_the_browser_by_state_and_verifier(provider: FakeOidc) -> None:
    browser, other = Browser(settings_for(provider)), Browser(settings_for(provider))
    back = await browser.depart()
    await other.depart()
    refused = await other.ours.get(back)  # another browser's code, slipped to a victim
    assert refused.status_code == 401
    assert "not begun in this browser" in refused.text
    assert provider.token_requests == 0
    assert SESSION not in other.ours.cookies


async def test_a_wrong_or_missing_state_is_refused(provider: FakeOidc) -> None:
    for query in ("code=code-0&state=wrong", "code=code-0"):
        browser = Browser(settings_for(provider))
        await browser.depart()
        refused = await browser.ours.get(f"/login/oidc/callback?{query}")
        assert refused.status_code == 401
        assert await browser.who() is None
    assert provider.token_requests == 0


async def test_an_attempt_is_good_for_one_answer_and_ten_minutes(provider: FakeOidc) -> None:
    clock = Clock()
    browser = Browser(settings_for(provider), clock=clock)
    back = await browser.depart()
    assert (await browser.ours.get(back)).status_code == 303
    assert (await browser.ours.get(back)).status_code == 401
    late = await browser.depart()
    clock.advance(601)
    assert (await browser.ours.get(late)).status_code == 401


async def test_what_the_browser_carries_cannot_be_changed(provider: FakeOidc) -> None:
    browser = Browser(settings_for(provider))
    back = await browser.depart()
    text, _, signed = browser.ours.cookies[SIGNING_IN].partition(".")
    browser.ours.cookies.clear()
    browser.ours.cookies.set(SIGNING_IN, f"{text[:-2]}AA.{signed}")
    assert (await browser.ours.get(back)).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"aud": ["another", "third"], "azp": CLIENT_ID},
        {"iss": "https://another.example"},
        {"exp": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600},
        {"azp": "another"},
        {"at_hash": "another"},
    ],
    ids=lambda claims: "-".join(claims),
)
async def test_a_token_that_is_not_for_us_now_is_refused(provider: FakeOidc, claims: dict[str, Any]) -> None:
    provider.claims = claims
    browser = Browser(settings_for(provider))
    refused = await browser.sign_in()
    assert (refused.status_code, provider.token_requests) == (401, 1)
    assert "could not be verified" in refused.text
    assert await browser.who() is None


async def test_a_token_signed_by_somebody_else_is_refused(provider: FakeOidc) -> None:
    provider.foreign_key = RSAKey.generate_key(2048, {"kid": provider.key.kid})
    assert (await Browser(settings_for(provider)).sign_in()).status_code == 401


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
async def test_a_token_without_a_real_signature_is_refused(provider: FakeOidc, algorithm: str) -> None:
    """Although the provider's own document names these."""
    provider.algorithm = algorithm
    refused = await Browser(settings_for(provider)).sign_in()
    assert (refused.status_code, provider.token_requests) == (401, 1)


async def test_a_provider_that_changes_its_keys_is_followed(provider: FakeOidc) -> None:
    browser = Browser(settings_for(provider))
    await browser.sign_in()
    provider.key = RSAKey.generate_key(2048, {"kid": f"not {provider.key.kid}"})
    browser.ours.cookies.clear()
    assert (await browser.sign_in()).status_code == 303


@pytest.mark.parametrize(
    ("user", "more", "word"),
    [
        ({"email": "eve@evil.example"}, {}, "may not sign in"),
        ({"email": "eve@evil.example@corp.example.evil.example"}, {}, "may not sign in"),
        ({"email": "eve@sub.corp.example"}, {}, "may not sign in"),
        ({"email_verified": False}, {}, "vouch"),
        ({"email_verified": None}, {}, "vouch"),
        ({"email_verified": False}, {"trusts_unverified_email": True}, "vouch"),
        ({"email": "corp.example"}, {}, "vouch"),
        ({"email": ""}, {}, "vouch"),
        ({}, {"allowed_groups": ("staff",)}, "in no group"),
        ({"groups": ["guests"]}, {"allowed_groups": ("staff",)}, "in no group"),
        ({"groups": "staffing"}, {"allowed_groups": ("staff",)}, "in no group"),
    ],
)
async def test_whoever_is_not_wanted_is_told_so(
    provider: FakeOidc, user: dict[str, Any], more: dict[str, Any], word: str
) -> None:
    provider.user |= user
    browser = Browser(settings_for(provider, allowed_domains=("corp.example",), **more))
    refused = await browser.sign_in()
    assert refused.status_code == 403
    assert word in refused.text
    assert await browser.who() is None


@pytest.mark.parametrize(
    ("user", "more", "role"),
    [
        ({"email": "Ada@Corp.Example"}, {"allowed_domains": ("@CORP.example",)}, "voter"),
        ({"groups": ["staff", "arena-admins"]}, {"admin_groups": ("arena-admins",)}, "admin"),
        ({"groups": "arena-admins"}, {"admin_groups": ("arena-admins",)}, "admin"),
        ({"groups": ["arena-admins"]}, {"admin_groups": ("arena-admins",), "allowed_groups": ("staff",)}, "admin"),
        ({"groups": ["staff"]}, {"admin_groups": ("arena-admins",), "allowed_groups": ("staff",)}, "voter"),
        ({"roles": ["boss"]}, {"admin_groups": ("boss",), "groups_claim": "roles"}, "admin"),
    ],
)
async def test_groups_become_roles(provider: FakeOidc, user: dict[str, Any], more: dict[str, Any], role: str) -> None:
    provider.user |= user
    browser = Browser(settings_for(provider, **more))
    assert (await browser.sign_in()).status_code == 303
    assert await browser.who() == ["ada@corp.example", role]


async def test_an_admin_by_name_is_one_by_mail_too(provider: FakeOidc) -> None:
    browser = Browser(settings_for(provider), admins={"ada@corp.example"})
    await browser.sign_in()
    assert await browser.who() == ["ada@corp.example", "admin"]


async def test_what_the_token_lacks_is_asked_for(provider: FakeOidc) -> None:
    provider.user = {}
    provider.userinfo = {"email": "ada@corp.example", "email_verified": True, "groups": ["arena-admins"]}
    browser = Browser(settings_for(provider, admin_groups=("arena-admins",)))
    await browser.sign_in()
    assert await browser.who() == ["ada@corp.example", "admin"]


async def test_userinfo_of_somebody_else_is_refused(provider: FakeOidc) -> None:
    provider.user = {}
    provider.userinfo = {"sub": "8", "email": "boss@corp.example", "email_verified": True}
    assert (await Browser(settings_for(provider)).sign_in()).status_code == 401


async def test_an_address_that_nobody_verifies_needs_a_word_of_ours(provider: FakeOidc) -> None:
    provider.user = {"email": "ada@corp.example"}
    assert (await Browser(settings_for(provider)).sign_in()).status_code == 403
    assert (await Browser(settings_for(provider, trusts_unverified_email=True)).sign_in()).status_code == 303


@pytest.mark.parametrize("query", ["error=access_denied", "", "code=code-0&iss=https://another.example"])
async def test_a_provider_that_says_no_is_heard(provider: FakeOidc, query: str) -> None:
    browser = Browser(settings_for(provider))
    state = parse_qs(urlsplit(await browser.depart()).query)["state"][0]
    refused = await browser.ours.get(f"/login/oidc/callback?state={state}&{query}")
    assert (refused.status_code, provider.token_requests) == (401, 0)
    assert "did not sign you in" in refused.text


async def test_a_code_of_somebody_elses_is_refused_by_the_provider(provider: FakeOidc) -> None:
    browser = Browser(settings_for(provider))
    state = parse_qs(urlsplit(await browser.depart()).query)["state"][0]
    refused = await browser.ours.get(f"/login/oidc/callback?state={state}&code=stolen")
    assert (refused.status_code, provider.token_requests) == (401, 1)


async def test_a_provider_that_is_down_is_tried_again_next_time(provider: FakeOidc) -> None:
    provider.is_down = True
    browser = Browser(settings_for(provider))
    failed = await browser.ours.get("/login/oidc")
    assert failed.status_code == 502
    assert "does not answer" in failed.text
    provider.is_down = False
    assert (await browser.sign_in()).status_code == 303


@pytest.mark.parametrize(
    "change", [{"discovery": {"issuer": "https://another.example"}}, {"discovery": {"authorization_endpoint": None}}]
)
async def test_a_provider_that_makes_no_sense_is_reported(provider: FakeOidc, change: dict[str, Any]) -> None:
    provider.discovery = change["discovery"]
    assert (await Browser(settings_for(provider)).ours.get("/login/oidc")).status_code == 502


async def test_a_provider_that_sends_no_identity_is_reported(provider: FakeOidc) -> None:
    provider.sends_identity = False
    assert (await Browser(settings_for(provider)).sign_in()).status_code == 502


async def test_an_issuer_may_end_in_a_slash(provider: FakeOidc) -> None:
    settings = replace(settings_for(provider), issuer=f"{provider.issuer}/")
    assert (await Browser(settings).sign_in()).status_code == 303


async def test_a_page_under_a_path_and_https_is_named_as_browsers_see_it(provider: FakeOidc) -> None:
    browser = Browser(settings_for(provider), SignInOptions(public_url="https://corp.example/arena/"))
    left = await browser.ours.get("/login/oidc")
    query = parse_qs(urlsplit(left.headers["location"]).query)
    assert query["redirect_uri"] == ["https://corp.example/arena/login/oidc/callback"]
    assert "Secure" in left.headers["set-cookie"]
    state, carried = query["state"][0], left.headers["set-cookie"].partition(";")[0]
    async with httpx.AsyncClient() as away:
        code = parse_qs(urlsplit((await away.get(left.headers["location"])).headers["location"]).query)["code"][0]
    arrived = await browser.ours.get(
        f"/login/oidc/callback?code={code}&state={state}", headers={"cookie": carried, "host": "inner"}
    )
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/arena/")
    assert all("Secure" in cookie for cookie in arrived.headers.get_list("set-cookie"))


async def test_without_a_provider_there_is_no_way_over_one() -> None:
    app = Router(SignIn(Visitors(KEY)).routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PAGE) as client:
        for path in ("/login/oidc", "/login/oidc/callback"):
            assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("issuer", ["http://corp.example", "corp.example", "ftp://127.0.0.1", ""])
async def test_a_provider_is_spoken_to_over_tls(issuer: str) -> None:
    with pytest.raises(SetupError, match="https"):
        OidcSettings(issuer=issuer, client_id="x")
