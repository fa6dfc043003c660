import asyncio
from contextlib import aclosing

import openai
import pytest

from fastchat.web.answering import Question, write
from fastchat.web.failures import UNREADABLE
from fastchat.web.session import Answer, Ending
from fastchat.web.settings import Pace, Parameters
from tests.web.fake_api import Failure, FakeApi

FAST = Pace(flush_s=0.01, sign_of_life_s=0.02)
QUESTION = Question("tiny-chat", [{"role": "user", "content": "Hi"}], Parameters())


async def written(client: openai.AsyncOpenAI, answer: Answer | None = None, pace: Pace = FAST) -> Answer:
    answer = answer or Answer("tiny-chat")
    async for _ in write(client.chat.completions, QUESTION, answer, pace):
        pass
    return answer


async def test_an_answer_is_written_down_with_its_tokens(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.thoughts = ["Hm."]
    answer = await written(client)
    assert (answer.text, answer.reasoning) == ("Hello from the fake API.", "Hm.")
    assert answer.ending is Ending.COMPLETE
    assert answer.completion_tokens == 6


async def test_the_request_carries_the_parameters(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    question = Question("tiny-chat", QUESTION.messages, Parameters(temperature=0.1, top_p=0.5, max_tokens=32))
    async for _ in write(client.chat.completions, question, Answer("tiny-chat"), FAST):
        pass
    sent = api.requests[0]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.1, 0.5, 32)


async def test_many_tokens_make_few_flushes(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.pieces = ["word "] * 2000
    answer, flushes = Answer("tiny-chat"), 0
    async for has_news in write(client.chat.completions, QUESTION, answer, Pace(flush_s=0.1)):
        flushes += has_news
    assert answer.text == "word " * 2000
    assert flushes < 100


async def test_there_are_signs_of_life_before_the_first_token(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.held_after = 0
    async with aclosing(write(client.chat.completions, QUESTION, Answer("tiny-chat"), FAST)) as flushes:
        signs = [await anext(flushes) for _ in range(3)]
    assert signs == [False, False, False]


@pytest.mark.parametrize("held_after", [0, 2])
async def test_closing_the_iterator_ends_the_request(api: FakeApi, client: openai.AsyncOpenAI, held_after: int) -> None:
    api.held_after, answer = held_after, Answer("tiny-chat")
    async with aclosing(write(client.chat.completions, QUESTION, answer, FAST)) as flushes:
        await anext(flushes)
        assert await asyncio.to_thread(api.was_asked.wait, 5)
    assert await asyncio.to_thread(api.was_left.wait, 5)
    assert answer.ending is Ending.STOPPED


async def test_stopping_ends_the_request_and_keeps_what_there_is(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.held_after, answer = 2, Answer("tiny-chat")
    async for _ in write(client.chat.completions, QUESTION, answer, FAST):
        if answer.text == "Hello from":
            answer.stop()
    assert await asyncio.to_thread(api.was_left.wait, 5)
    assert (answer.text, answer.ending) == ("Hello from", Ending.STOPPED)


async def test_the_limit_of_tokens_is_told_from_the_end(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.finish_reason = "length"
    assert (await written(client)).ending is Ending.CUT_OFF


async def test_a_stream_that_just_ends_is_a_failure(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.finish_reason = None
    answer = await written(client)
    assert answer.text == "Hello from the fake API."
    assert (answer.ending, answer.failure) == (
        Ending.FAILED,
        "The connection was lost before the answer was complete. Try again.",
    )


async def test_an_error_within_the_stream_is_a_failure(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.broken_after = 2
    answer = await written(client)
    assert answer.text == "Hello from"
    assert answer.failure == "The model broke off: The worker died. Try again."


@pytest.mark.parametrize("garbage", ["{no json", '{"choices": [null]}', "[]"])
async def test_a_stream_that_makes_no_sense_is_a_failure(
    api: FakeApi, client: openai.AsyncOpenAI, garbage: str, caplog: pytest.LogCaptureFixture
) -> None:
    api.garbage = garbage
    answer = await written(client)
    assert (answer.ending, answer.failure) == (Ending.FAILED, UNREADABLE)
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Failure(400, "invalid_value", "temperature is too hot"), "refused this request: temperature is too hot."),
        (Failure(400, "context_length_exceeded", "The prompt is too long."), "The prompt is too long."),
        (Failure(401, "invalid_api_key"), "refused this page's key"),
        (Failure(404, "model_not_found"), "“tiny-chat” is not served here"),
        (Failure(413, "request_too_large"), "too large to send"),
        (Failure(429, "queue_full", headers={"retry-after": "7"}), "Try again in 7 s."),
        (Failure(429, "queue_full"), "Try again in a moment."),
        (Failure(500, "internal_error", "out of memory"), "failed while it was answering: out of memory. Try"),
        (Failure(502, "worker_failed", "The worker died."), "failed while it was answering: The worker died. Try"),
        (Failure(503, "no_worker"), "Nothing that serves “tiny-chat” is up"),
        (Failure(504, "worker_timeout"), "took too long"),
    ],
)
async def test_what_the_api_refuses_is_said_in_words(
    api: FakeApi, client: openai.AsyncOpenAI, failure: Failure, words: str
) -> None:
    api.failure = failure
    answer = await written(client)
    assert answer.ending is Ending.FAILED
    assert words in answer.failure


async def test_an_api_that_is_not_there_is_said_in_words() -> None:
    async with openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="EMPTY", max_retries=0) as client:
        assert "connection to the API was lost" in (await written(client)).failure


async def test_a_slow_api_is_said_in_words(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.held_after = 0
    answer = await written(client.with_options(timeout=0.05))
    assert "took too long" in answer.failure
