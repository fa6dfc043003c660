import asyncio
import json
import logging
from typing import cast

import aiohttp
import openai
import pytest
from aiohttp import web
from openai.types import ModerationCreateResponse

from fastchat.arena.moderation.base import Judgement, Spec, Surroundings
from fastchat.arena.moderation.openai_endpoint import ATTEMPTS, PIECE_CHARS, OpenAIEndpoint, load
from fastchat.core.errors import SetupError
from tests.arena.moderation.fake_endpoint import FLAGGED_IMAGE, FLAGGED_WORD, Endpoint, Failure, endpoint, result

SOURCE = "openai omni-moderation-latest"


async def asking(fake: Endpoint, around: Surroundings, **settings: str) -> OpenAIEndpoint:
    return await load(Spec("openai", fake.url, settings), around)


async def test_a_harmless_text_passes_and_a_harmful_one_is_flagged_with_its_category(around: Surroundings) -> None:
    async with endpoint() as fake:
        moderator = await asking(fake, around)
        assert await moderator.check("Hello", role="user") == Judgement(SOURCE)
        judged = await moderator.check(f"{FLAGGED_WORD}!", role="assistant")
        assert judged == Judgement(SOURCE, is_flagged=True, categories={"violence": 0.9})


async def test_the_request_is_the_one_that_openais_sdk_sends(around: Surroundings) -> None:
    async with endpoint() as fake:
        await (await asking(fake, around, api_key="env:GUARD_KEY")).check("Hello", role="user")
        async with openai.AsyncOpenAI(base_url=fake.url, api_key="secret-key") as sdk:
            await sdk.moderations.create(input=["Hello"], model="omni-moderation-latest")
    ours, theirs = fake.bodies
    assert ours == theirs
    assert fake.keys == ["Bearer secret-key"] * 2


async def test_the_answer_we_read_is_the_one_that_openais_sdk_reads(around: Surroundings) -> None:
    async with endpoint() as fake, openai.AsyncOpenAI(base_url=fake.url, api_key="x") as sdk:
        read = await sdk.moderations.create(input=FLAGGED_WORD)
        ModerationCreateResponse.model_validate(read.model_dump(by_alias=True), strict=True)
        judged = await (await asking(fake, around)).check(FLAGGED_WORD, role="user")
    theirs = read.results[0].model_dump(by_alias=True)
    assert judged.is_flagged == theirs["flagged"]
    flagged = {name: theirs["category_scores"][name] for name, is_true in theirs["categories"].items() if is_true}
    assert judged.categories == flagged


@pytest.mark.parametrize("place", [0, PIECE_CHARS - 3, 25_000, 99_990])
async def test_a_harmful_word_is_found_wherever_it_stands(around: Surroundings, place: int) -> None:
    text = "a" * place + FLAGGED_WORD + "a" * (100_000 - place)
    async with endpoint() as fake:
        assert (await (await asking(fake, around)).check(text, role="user")).is_flagged
        assert all(len(piece) <= PIECE_CHARS for body in fake.bodies for piece in body["input"])


async def test_each_image_is_asked_about_alone(around: Surroundings) -> None:
    async with endpoint() as fake:
        moderator = await asking(fake, around)
        assert moderator.sees_images
        assert not (await moderator.check("", ["data:image/png;base64,BBBB"], role="user")).is_flagged
        assert (await moderator.check("", ["data:image/png;base64,BBBB", FLAGGED_IMAGE], role="user")).is_flagged
    assert [len(body["input"]) for body in fake.bodies] == [1, 1, 1]
    assert fake.bodies[0]["input"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}}]


async def test_images_are_not_sent_to_a_model_that_sees_none(around: Surroundings) -> None:
    async with endpoint() as fake:
        moderator = await asking(fake, around, images="false")
        await moderator.check("Hello", [FLAGGED_IMAGE], role="user")
    assert not moderator.sees_images
    assert [body["input"] for body in fake.bodies] == [["Hello"]]


async def test_nothing_is_asked_about_nothing(around: Surroundings) -> None:
    async with endpoint() as fake:
        assert await (await asking(fake, around)).check(" \n", role="user") == Judgement(SOURCE)
    assert not fake.bodies


async def test_a_lower_limit_of_ones_own_flags_more(around: Surroundings) -> None:
    def doubtful(_: web.Request) -> web.Response:
        return web.json_response({"results": [result(False) | {"category_scores": {"sexual": 0.4, "illicit": None}}]})

    async with endpoint(doubtful, doubtful) as fake:
        assert not (await (await asking(fake, around)).check("Hm", role="user")).is_flagged
        judged = await (await asking(fake, around, flag_above="0.3")).check("Hm", role="user")
    assert judged == Judgement(SOURCE, is_flagged=True, categories={"sexual": 0.4})


def status(number: int) -> Failure:
    return lambda _: web.Response(status=number, text="no")


def body(text: str) -> Failure:
    return lambda _: web.Response(text=text, content_type="application/json")


def dropped(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


def moved(_: web.Request) -> web.Response:
    raise web.HTTPTemporaryRedirect("http://127.0.0.1:9/v1/moderations")


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (status(401), "status 401"),
        (status(429), "status 429"),
        (status(500), "status 500"),
        (moved, "status 307"),
        (dropped, "cannot be reached"),
        (body("<html>"), "not of OpenAI's form"),
        (body("{}"), "not of OpenAI's form"),
        (body('{"results": []}'), "0 results for 1 inputs"),
        (body('{"results": [{"flagged": "no", "categories": {}, "category_scores": {}}]}'), "results.0.flagged"),
        (body(json.dumps({"results": [result(False) | {"category_scores": {"hate": float("nan")}}]})), "hate"),
        (body(" " * (1 << 20) + "{}"), "far too long"),
    ],
)
async def test_what_is_no_judgement_is_a_failure_and_said(
    around: Surroundings, failure: Failure, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with endpoint(*[failure] * ATTEMPTS) as fake:
        with caplog.at_level(logging.WARNING):
            judged = await (await asking(fake, around, api_key="env:GUARD_KEY")).check("my own words", role="user")
    assert judged.is_failed
    assert not judged.is_flagged
    assert why in judged.detail
    assert why in caplog.text
    assert "secret-key" not in judged.detail + caplog.text
    assert "my own words" not in judged.detail + caplog.text


@pytest.mark.parametrize("failure", [status(503), dropped])
async def test_one_hiccup_is_forgiven(around: Surroundings, failure: Failure) -> None:
    async with endpoint(failure) as fake:
        assert await (await asking(fake, around)).check("Hello", role="user") == Judgement(SOURCE)
    assert len(fake.bodies) == 2


async def test_a_flag_stands_although_another_piece_was_not_judged(around: Surroundings) -> None:
    async with endpoint(status(400)) as fake:
        judged = await (await asking(fake, around)).check(FLAGGED_WORD, [FLAGGED_IMAGE], role="user")
    assert judged.is_flagged
    assert judged.is_failed


async def test_silence_is_a_failure(around: Surroundings) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        moderator = await load(Spec("openai", url, {"timeout_s": "0.05"}), around)
        judged = await moderator.check("Hello", role="user")
    assert judged == Judgement(SOURCE, is_failed=True, detail=f"{SOURCE}: no answer within 0.05 s")


async def test_nobody_there_is_a_failure(around: Surroundings) -> None:
    async with endpoint() as fake:
        pass
    assert (await (await asking(fake, around)).check("Hello", role="user")).is_failed


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (Spec("openai", "guard:8000"), "address that begins with http"),
        (Spec("openai", "http://h/v1", {"api_key": "sk-123"}), "stands in a variable: api_key=env:NAME"),
        (Spec("openai", "http://h/v1", {"api_key": "env:NOT_SET"}), "environment variable NOT_SET is not set"),
        (Spec("openai"), "environment variable OPENAI_API_KEY is not set"),
        (Spec("openai", "http://h/v1", {"speed": "9"}), "speed: Extra inputs.*Settings: url, model, api_key"),
        (Spec("openai", "http://h/v1", {"timeout_s": "0"}), "timeout_s: Input should be greater than 0"),
        (Spec("openai", "http://h/v1", {"url": "http://i/v1"}), "does not know what to do with"),
    ],
)
async def test_settings_that_cannot_be_are_refused(around: Surroundings, spec: Spec, words: str) -> None:
    with pytest.raises(SetupError, match=words) as raised:
        await load(spec, around)
    assert "sk-123" not in raised.value.message


class Recorder:
    """A session that reaches nobody and notes whom it was to reach."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def post(self, url: str, *, headers: dict[str, str], **_: object) -> None:
        self.asked.append((url, headers["authorization"]))
        raise aiohttp.ClientConnectionError


async def test_without_an_address_openai_is_asked_with_its_usual_key(around: Surroundings) -> None:
    session = Recorder()
    there = Surroundings({"OPENAI_API_KEY": "k"}, cast(aiohttp.ClientSession, session), around.chat)
    await (await load(Spec("openai"), there)).check("Hello", role="user")
    assert session.asked == [("https://api.openai.com/v1/moderations", "Bearer k")] * ATTEMPTS
