from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fastchat.core.errors import InvalidRequest
from fastchat.terminal.pictures import LIMITS, picture

JPEG = b"\xff\xd8\xff" + bytes(9)


async def test_an_image_may_be_a_file_or_an_address_near_by(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG)
    app = web.Application()

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=JPEG)

    app.router.add_get("/a.jpg", serve)
    async with TestServer(app) as server:
        fetched = await picture(str(server.make_url("/a.jpg")))
    assert fetched == await picture(str(tmp_path / "a.jpg"))
    assert fetched.startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.png", None, "cannot be read: No such file"),
        ("text.png", b"hello", "neither PNG, JPEG, GIF nor WebP"),
        ("large.png", bytes(LIMITS.max_bytes + 1), "larger than 20 MiB"),
    ],
)
async def test_what_is_no_image_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidRequest, match=f"{name}.*{words}"):
        await picture(str(tmp_path / name))


async def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="Is a directory"):
        await picture(str(tmp_path))
