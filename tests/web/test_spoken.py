"""What the server makes of Gradio's page for its reader."""

import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from fastchat.web.packaged import packaged
from fastchat.web.spoken import IN_SCRIPTS, Spoken
from fastchat.web.texts import Catalogue, Wording

CATALOGUE = Catalogue.load()
PAGE = '<!doctype html>\n<html\n\tlang="en"><head><meta charset="utf-8"></head><body lang="en"></body></html>'


async def page(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def data(_: Request) -> Response:
    return JSONResponse({"lang": '<html lang="en"><head>'})


async def get(path: str, accepted: str, fixed: str | None = None) -> httpx.Response:
    app = Spoken(Starlette(routes=[Route("/", page), Route("/data", data)]), Wording(CATALOGUE, fixed))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as client:
        return await client.get(path, headers={"accept-language": accepted})


@pytest.mark.parametrize(
    ("accepted", "fixed", "language"),
    [("de-AT,en;q=0.5", None, "de"), ("it,ja;q=0.5", None, "ja"), ("de", "fr", "fr"), ("nonsense", None, "en")],
)
async def test_the_page_says_which_language_it_is_in(accepted: str, fixed: str | None, language: str) -> None:
    reply = await get("/", accepted, fixed)
    assert f'<html\n\tlang="{language}">' in reply.text
    assert f'"language": "{language}"' in reply.text
    assert CATALOGUE.of(language)("welcome_battle_title") in reply.text
    assert '<body lang="en">' in reply.text
    assert reply.headers["vary"] == "accept-language"
    assert int(reply.headers["content-length"]) == len(reply.content)


async def test_what_is_no_page_stays_as_it_is() -> None:
    assert (await get("/data", "de")).json() == {"lang": '<html lang="en"><head>'}


async def test_previews_of_links_show_the_pages_own_name() -> None:
    gradios = (
        '<meta property="og:title" content="Gradio" /><meta property="og:url" content="{url}" />\n'
        '<meta\n\tproperty="og:image"\n\tcontent="https://pictures.example/gradio.jpg"\n/>'
        '<meta name="twitter:creator" content="@Gradio" />'
        '<meta property="og:title" content="Example &amp; Co" /><meta property="og:image" content="" />'
    )
    data = '<script>window.gradio_config = "<meta name="twitter:card" content="kept">"</script>'

    async def previewed(_: Request) -> Response:
        return HTMLResponse(PAGE.replace("</head>", gradios + data + "</head>"))

    app = Spoken(Starlette(routes=[Route("/", previewed)]), Wording(CATALOGUE))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as client:
        text = (await client.get("/")).text
    assert re.findall(r'og:title" content="([^"]*)"', text) == ["Example &amp; Co"]
    assert 'og:description" content="Chat with the models' in text
    assert 'meta charset="utf-8"' in text
    assert data in text
    assert not re.search("og:image|og:url|twitter:creator|Gradio", text)


def test_scripts_get_all_that_they_say() -> None:
    assets = "".join(map(packaged, ("page.js", "history.js", "brand.html", "links.html")))
    said = re.findall(r'say\("(\w+)"\)|strings\.(\w+)|data-(?:text|name)="(\w+)"|name\(.*, "(\w+)"\)', assets)
    keys = {key for found in said for key in found if key}
    assert len(keys) > 15
    assert keys <= set(IN_SCRIPTS)
    assert [key for name in CATALOGUE.languages for key in IN_SCRIPTS if "{" in CATALOGUE.of(name)(key)] == []
