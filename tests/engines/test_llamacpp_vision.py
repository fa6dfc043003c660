"""Pictures through llama.cpp: the built-in language model behind an image encoder with random weights.

What it says about a picture means nothing; that it depends on the picture, and on nothing else, does.
"""

import base64
import io
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from PIL import Image

from fastchat.core.errors import FastChatError, InvalidRequest
from fastchat.engines.base import ChatPrompt, Engine, GenerationRequest, Message, Sampling
from fastchat.engines.llamacpp import load
from fastchat.engines.registry import EngineOptions
from fastchat.model import builtin
from tests.engines import gguf_files
from tests.engines.asking import Answer, ask

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def seeing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    projector = gguf_files.write_projector(tmp_path_factory.mktemp("vision") / "mmproj.gguf", outputs=576)
    options = EngineOptions(str(builtin.ensure()), context_length=512, slots=1, engine_args={"mmproj": str(projector)})
    engine = await load(options)
    yield engine
    await engine.close()


def picture(colour: str, kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, kind, lossless=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def look(*urls: str) -> Message:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [{"type": "text", "text": "What is in this picture?"}, *parts]}


async def answer(engine: Engine, *urls: str) -> Answer:
    return await ask(engine, GenerationRequest(ChatPrompt([look(*urls)]), Sampling(temperature=0, max_tokens=16)))


async def test_it_says_that_it_sees(seeing: Engine) -> None:
    assert "vision" in seeing.info.features


async def test_the_answer_depends_on_the_picture(seeing: Engine) -> None:
    red, blue, red_again = [await answer(seeing, picture(colour)) for colour in ("red", "blue", "red")]
    assert red.text == red_again.text != blue.text


async def test_each_picture_takes_its_place_in_the_prompt(seeing: Engine) -> None:
    one, two = [await answer(seeing, *[picture("red")] * count) for count in (1, 2)]
    none = await answer(seeing)
    assert none.usage.prompt_tokens < one.usage.prompt_tokens < two.usage.prompt_tokens


async def test_the_format_of_the_file_does_not_matter(seeing: Engine) -> None:
    png, webp = [await answer(seeing, picture("red", kind)) for kind in ("PNG", "WEBP")]
    assert png.text == webp.text


@pytest.mark.parametrize("head", [b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBP"])
async def test_a_damaged_picture_is_the_callers_error(seeing: Engine, head: bytes) -> None:
    kind = "webp" if head[:4] == b"RIFF" else "png"
    with pytest.raises(FastChatError) as caught:
        await answer(seeing, f"data:image/{kind};base64,{base64.b64encode(head + bytes(40)).decode()}")
    assert caught.value.status == 400


async def test_an_engine_is_given_no_addresses(seeing: Engine) -> None:
    with pytest.raises(InvalidRequest, match="data: URLs"):
        await answer(seeing, "http://127.0.0.1/cat.png")
