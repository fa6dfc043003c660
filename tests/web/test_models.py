import asyncio

import openai
import pytest

from fastchat.web.models import NO_MODEL, Choice, ModelList, Models, choices
from tests.web.fake_api import Failure, FakeApi


@pytest.mark.parametrize(
    ("names", "chosen", "keep", "offered", "wanted"),
    [
        (("a", "b"), "b", False, [("a", "a"), ("b", "b")], "b"),
        (("a", "b"), None, False, [("a", "a"), ("b", "b")], "a"),
        (("a",), "gone", False, [("a", "a")], "a"),
        (("a",), "gone", True, [("gone (not running)", "gone"), ("a", "a")], "gone"),
        ((), None, False, [("No model", "")], ""),
        ((), "", True, [("No model", "")], ""),
        (("a",), "", False, [("a", "a")], "a"),
    ],
)
def test_what_the_picker_offers(
    names: tuple[str, ...], chosen: str | None, keep: bool, offered: list[Choice], wanted: str
) -> None:
    assert choices(Models(names), chosen, keep=keep) == (offered, wanted)


async def test_the_list_keeps_the_order_of_the_api(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.models = ["zebra", "ant", "zebra"]
    assert await models(client).current() == Models(("zebra", "ant"))


async def test_pages_that_ask_together_share_one_request(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    listed = models(client, fresh_s=60)
    await asyncio.gather(*(listed.current() for _ in range(20)))
    assert api.model_requests == 1


async def test_an_empty_list_is_said_in_words(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    api.models = []
    assert await models(client).current() == Models((), NO_MODEL)


async def test_an_api_that_fails_does_not_take_the_models_away(api: FakeApi, client: openai.AsyncOpenAI) -> None:
    listed = models(client)
    await listed.current()
    api.models_failure = Failure(500, "internal_error")
    names, problem = await listed.current()
    assert names == ("tiny-chat",)
    assert "does not answer" in problem


@pytest.mark.parametrize(("status", "words"), [(401, "key"), (503, "knows no model yet"), (502, "does not answer")])
async def test_why_there_is_no_list(api: FakeApi, client: openai.AsyncOpenAI, status: int, words: str) -> None:
    api.models_failure = Failure(status, "some_code")
    assert words in (await models(client).current()).problem


def models(client: openai.AsyncOpenAI, fresh_s: float = 0) -> ModelList:
    return ModelList(client, fresh_s=fresh_s, timeout_s=5)
