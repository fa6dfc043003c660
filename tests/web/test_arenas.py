"""Named arenas as pages of their own, over real HTTP through the whole app."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from yarl import URL

from fastchat.arena.config import ArenaConfig, Look
from fastchat.arena.records import Mode, Outcome
from fastchat.core.errors import SetupError
from tests.arena.service.stage import ADA, Stage
from tests.web.arena_site import PEOPLE, serving, staged
from tests.web.whole_page import status, visiting, whole_app

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAMED = "https://intra.example.com"
LEGAL = ArenaConfig(
    title="Legal questions",
    description="Compare models on <our> contracts.",
    language="de",
    modes=(Mode.BATTLE,),
    look=Look(name="Example Legal", accent="#7c2d12"),
    embed_origins=(FRAMED,),
)
TEAM = ArenaConfig(members=("ada",), modes=(Mode.DIRECT,))
SECRET = ArenaConfig(members=("ada",), is_listed=False, modes=(Mode.DIRECT,))

CLOSED = [
    ("GET", "gradio_api/file=http://127.0.0.1:9/secret"),
    ("GET", "gradio_api/file=/etc/passwd"),
    ("GET", "gradio_api/proxy=https://example.com"),
    ("GET", "gradio_api/upload"),
    ("GET", "gradio_api/deep_link?session_hash=x"),
    ("GET", "gradio_api/info"),
    ("GET", "gradio_api/openapi.json"),
    ("POST", "gradio_api/component_server"),
    ("POST", "gradio_api/vibe-code"),
]


@dataclass(frozen=True)
class Site:
    on: Stage
    open: str  # the address of a server without logins
    closed: str  # and of one with them


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("arenas")
    async with staged(folder, legal=LEGAL, team=TEAM, secret=SECRET) as on:
        free, guarded = whole_app(on), whole_app(on, PEOPLE)
        async with serving(on, app=free.asgi) as first, serving(on, app=guarded.asgi) as second:
            yield Site(on, first, second)


async def shared_battle(on: Stage, arena: str) -> str:
    """The path of its page."""
    battle = await on.battle("Who pays?", arena=arena)
    assert battle.vote_token is not None
    await on.arena.vote(ADA, battle.conversation_id, battle.vote_token, Outcome.TIE)
    return await on.arena.share(ADA, battle.conversation_id)


async def test_an_arena_has_a_page_of_its_own(site: Site) -> None:
    async with visiting(site.open) as session:
        async with session.get("/a/legal?embed=1") as reply:
            assert (reply.url.path_qs, reply.status) == ("/a/legal/?embed=1", 200)
            assert f"frame-ancestors 'self' {FRAMED};" in reply.headers["content-security-policy"]
            page = await reply.text()
        assert [cookie.key for cookie in session.cookie_jar] == ["fastchat_voter"]
        assert '"title":"Example Legal"' in page
        assert 'lang="de"' in page
        assert "--link-text-color:#7c2d12" in page
        async with session.get("/a/legal/config") as reply:
            config = await reply.text()
            assert (await reply.json())["root"] == f"{site.open}/a/legal"
        assert "Compare models on &lt;our&gt; contracts." in config
        assert set(re.findall(r"fc-tab-(\w+)", config)) == {"battle", "leaderboard", "about"}
        async with session.get("/") as reply:
            ours = await reply.text()
            assert "frame-ancestors 'self';" in reply.headers["content-security-policy"]
        assert '"title":"FastChat"' in ours
        assert "#7c2d12" not in ours


async def test_what_a_page_asks_for_beside_itself_is_answered_as_at_the_root(site: Site) -> None:
    async with visiting(site.open) as session:
        for path in ("models-version", "favicon.ico", "api/arena/arenas"):
            async with session.get(f"/a/legal/{path}") as theirs, session.get(f"/{path}") as ours:
                assert (theirs.status, await theirs.read()) == (200, await ours.read()), path
        assert await status(session, "/a/legal/theme.css") == 200


async def test_a_shared_conversation_is_shown_in_its_arenas_name(site: Site) -> None:
    path = await shared_battle(site.on, "legal")
    async with visiting(site.open) as session:
        for prefix in ("", "/a/legal"):
            async with session.get(prefix + path) as reply:
                text = await reply.text()
            for said in ("Example Legal", "Who pays?", "--accent:#7c2d12", '<html lang="de">'):
                assert said in text


@pytest.mark.parametrize("prefix", ["/", "/a/legal/"])
async def test_gradios_other_routes_are_closed_under_every_arena(site: Site, prefix: str) -> None:
    async with visiting(site.open) as session:
        for method, path in CLOSED:
            body = {"headers": {"content-length": "0"}} if method == "POST" else {}
            async with session.request(method, prefix + path, **body) as reply:
                assert reply.status == 403, path
        async with session.post(f"{prefix}gradio_api/queue/join", data=_of_unknown_length()) as reply:
            assert reply.status == 411
        async with session.get(f"{prefix}config", headers={"sec-fetch-dest": "image"}) as reply:
            assert reply.status == 403
        for path in ("openapi.json", "monitoring", "run-history"):
            assert await status(session, prefix + path) in (403, 404), path


async def _of_unknown_length() -> AsyncIterator[bytes]:
    yield b"{"


@pytest.mark.parametrize("path", ["//gradio_api/file=/etc/passwd", "/%2Fgradio_api/info", "/./gradio_api/info"])
async def test_a_path_written_otherwise_opens_nothing(site: Site, path: str) -> None:
    async with visiting(site.open) as session:
        for arena in ("", "/a/legal"):
            async with session.get(URL(site.open + arena + path, encoded=True)) as reply:
                assert reply.status in (403, 404)


async def test_strangers_learn_nothing_of_an_unlisted_arena(site: Site) -> None:
    async with visiting(site.open) as session:
        for path in ("", "/", "/config", "/theme.css", "/gradio_api/queue/data", "/gradio_api/heartbeat/x"):
            assert await status(session, f"/a/secret{path}") == 404, path
            assert await status(session, f"/a/nonsense{path}") == 404, path
            assert await status(session, f"/a/team{path}") == 401, path
        for path in ("/leaderboard/table", "/about", "/terms", "/consent", "/api/arena/models"):
            assert await status(session, f"{path}?arena=secret") == 404, path
        assert await status(session, "/look/secret/logo") == 404


async def test_members_come_in_by_the_login(site: Site) -> None:
    async with visiting(site.closed) as session, session.get("/a/team/?direct", allow_redirects=False) as reply:
        assert reply.headers["location"] == "/login?next=/a/team/%3Fdirect"
    async with visiting(site.closed, "ada") as session:
        for path in ("", "config", "theme.css"):
            assert await status(session, f"/a/secret/{path}") == 200, path


async def test_the_first_arena_has_one_address(site: Site) -> None:
    async with visiting(site.open) as session, session.get("/a/default/?compare", allow_redirects=False) as reply:
        assert reply.headers["location"] == "/?compare"


@pytest.mark.parametrize(
    ("name", "code"), [("nobody, where there is no login", 401), (None, 303), ("ada", 403), ("root", 200)]
)
async def test_admins_alone_see_how_things_stand(site: Site, name: str | None, code: int) -> None:
    url, name = (site.closed, name) if name in (None, *PEOPLE) else (site.open, None)
    async with visiting(url, name) as session:
        for path in ("/admin", "/admin/script.js", "/api/arena/admin/models", "/api/arena/admin/storage"):
            assert await status(session, path) == code, path
        assert await status(session, "/a/legal/api/arena/admin/storage") == code
        async with session.post("/api/arena/admin/audit") as reply:
            assert reply.status == (401 if code == 303 else code)


async def test_what_is_shared_is_read_without_a_login_and_nothing_else_is(site: Site) -> None:
    path = await shared_battle(site.on, "default")
    async with visiting(site.closed) as session:
        assert await status(session, path) == 200
        assert await status(session, f"/api/arena{path.replace('/s/', '/shared/')}") == 200
        for path in ("/", "/config", "/about", "/terms", "/leaderboard/table", "/api/arena/conversations"):
            assert await status(session, path) == 303, path


async def test_where_the_first_arena_has_members_its_page_is_closed_as_well(tmp_path: Path) -> None:
    default = ArenaConfig(members=("root",), modes=(Mode.DIRECT,))
    async with staged(tmp_path, default=default) as on, serving(on, app=whole_app(on, PEOPLE).asgi) as url:
        for name, code in (("ada", 403), ("root", 200)):
            async with visiting(url, name) as session:
                assert [await status(session, path) for path in ("/", "/config")] == [code, code]


async def test_under_a_proxys_path_every_arena_is_rooted_there(tmp_path: Path) -> None:
    async with staged(tmp_path, legal=LEGAL) as on:
        app = whole_app(on, gradio_root_path="/chat").asgi
        async with serving(on, app=app) as url, visiting(url) as session:
            for path in ("/", "/a/legal/"):
                async with session.get(f"{path}config") as reply:
                    assert (await reply.json())["root"] == f"{url}/chat{path}".rstrip("/")
            async with session.get("/a/legal", allow_redirects=False) as reply:
                assert reply.headers["location"] == "/chat/a/legal/"


async def test_the_page_of_a_single_chat_has_no_arenas(tmp_path: Path) -> None:
    async with (
        staged(tmp_path, legal=LEGAL) as on,
        serving(on, app=whole_app(on, arena=False).asgi) as url,
        visiting(url) as session,
    ):
        assert await status(session, "/a/legal/") == 404
        async with session.get("/config") as reply:
            assert set(re.findall(r"fc-tab-(\w+)", await reply.text())) == {"direct"}


async def test_a_colour_that_cannot_be_read_is_said_at_the_start(tmp_path: Path) -> None:
    async with staged(tmp_path, legal=ArenaConfig(look=Look(accent="#ffff00"))) as on:
        with pytest.raises(SetupError, match="Arena 'legal'"):
            whole_app(on)
