"""Pictures through transformers: a tiny LLaVA with random weights, against transformers' own generate."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import ChatPrompt, Engine, GenerationRequest, Message, Sampling
from fastchat.engines.registry import EngineOptions, load_engine

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402

from tests.engines import tiny_vision  # noqa: E402
from tests.engines.asking import Answer, ask  # noqa: E402

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vision.llava(tmp_path_factory.mktemp("llava"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seeing(folder: Path) -> AsyncIterator[Engine]:
    engine = await load_engine("hf", EngineOptions(str(folder), slots=4, dtype="float32"))
    yield engine
    await engine.close()


def picture(colour: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def with_broken_chunk() -> bytes:
    """Its main part says that it is shorter than it is, so what follows seems to be another."""
    head, mark, rest = base64.b64decode(picture("red").partition(",")[2]).partition(b"IDAT")
    return head[:-1] + bytes([head[-1] - 9]) + mark + rest


def look(*colours: str, text: str = "What is this? ") -> list[Message]:
    parts = [{"type": "image_url", "image_url": {"url": picture(colour)}} for colour in colours]
    return [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]


async def answer(engine: Engine, messages: list[Message]) -> Answer:
    sampling = Sampling(temperature=0, max_tokens=12, ignore_eos=True)
    return await ask(engine, GenerationRequest(ChatPrompt(messages), sampling))


def expected(folder: Path, *colours: str, text: str = "What is this? ") -> str:
    """What transformers itself makes of it."""
    import transformers

    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    prompt = f"<turn>user {text}{'<image>' * len(colours)}<turn>assistant "
    pictures = [Image.new("RGB", (60, 40), colour) for colour in colours]
    inputs = processor(text=[prompt], images=pictures, return_tensors="pt", add_special_tokens=False)
    made = model.generate(**inputs, max_new_tokens=12, min_new_tokens=12, do_sample=False)
    text = processor.tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("role", ["assistant", "tool"])
async def test_pictures_are_what_the_user_shows(seeing: Engine, role: str) -> None:
    with pytest.raises(InvalidRequest, match="user"):
        await answer(seeing, [{"role": "user", "content": "Hi"}, {**look("red")[0], "role": role}])


async def test_it_says_that_it_sees(seeing: Engine) -> None:
    assert "vision" in seeing.info.features


@pytest.mark.parametrize("colours", [("red",), ("blue",), ("red", "blue")])
async def test_the_answer_is_that_of_transformers(seeing: Engine, folder: Path, colours: tuple[str, ...]) -> None:
    given = await answer(seeing, look(*colours))
    whole = expected(folder, *colours)
    assert given.text
    assert whole.startswith(given.text)  # but for half a character at the end
    assert len(whole) - len(given.text) <= 1


async def test_a_picture_takes_its_place_in_the_prompt(seeing: Engine) -> None:
    one, two = [await answer(seeing, look(*["red"] * count)) for count in (1, 2)]
    assert two.usage.prompt_tokens - one.usage.prompt_tokens == tiny_vision.TOKENS_PER_IMAGE


async def test_pictures_and_texts_are_computed_side_by_side(seeing: Engine) -> None:
    talks = [look("red"), [{"role": "user", "content": "Hello"}], look("blue"), look("red", "blue"), look()]
    alone = [(await answer(seeing, talk)).text for talk in talks]
    together = await asyncio.gather(*(answer(seeing, talk) for talk in talks))
    assert [given.text for given in together] == alone
    assert len(set(alone)) > 3


async def test_a_picture_of_an_earlier_turn_is_still_seen(seeing: Engine) -> None:
    def talk(colour: str) -> list[Message]:
        more: list[Message] = [{"role": "assistant", "content": "A picture."}, {"role": "user", "content": "Which?"}]
        return [*look(colour), *more]

    red, blue = [await answer(seeing, talk(colour)) for colour in ("red", "blue")]
    assert red.text != blue.text


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode(),
        "data:image/png;base64," + base64.b64encode(with_broken_chunk()).decode(),
        "data:image/png;base64,AAAA",
        "http://127.0.0.1/cat.png",
    ],
)
async def test_what_is_no_picture_is_the_callers_error(seeing: Engine, url: str) -> None:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    with pytest.raises(InvalidRequest):
        await answer(seeing, [message])


async def test_the_rendered_prompt_shows_where_pictures_are(seeing: Engine) -> None:
    assert await seeing.render(ChatPrompt(look("red"))) == "<turn>user What is this? <image><turn>assistant "
