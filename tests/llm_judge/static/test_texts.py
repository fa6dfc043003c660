from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from fastchat.core.errors import InvalidRequest, SetupError, WorkerFailed
from fastchat.engines.base import GenerationRequest, Sampling, TextPrompt
from fastchat.engines.flags import ModelSettings
from fastchat.llm_judge.static.texts import EngineTexts, NextToken, Post, ServedTexts, check

TOLD = {"tokens": [" a"], "token_logprobs": [-1.5], "top_logprobs": [{" b": -0.5}]}


def served(reply: Mapping[str, Any]) -> ServedTexts:
    async def post(request: Post) -> Mapping[str, Any]:
        return reply

    return ServedTexts("m", post)


def completion(**told: Any) -> dict[str, Any]:
    return {"choices": [{"logprobs": TOLD | told}]}


@pytest.mark.parametrize(
    ("told", "is_likeliest"),
    [({}, False), ({"top_logprobs": [{" a": -1.5, " b": -3.0}]}, True), ({"top_logprobs": None}, True)],
)
async def test_a_token_is_the_likeliest_if_no_other_is_more_likely(told: dict[str, Any], is_likeliest: bool) -> None:
    assert await served(completion(**told)).force([1], 2) == (" a", -1.5, is_likeliest)


@pytest.mark.parametrize(
    "reply", [{}, {"choices": []}, {"choices": [{"logprobs": None}]}, {"choices": [{"logprobs": {"tokens": ["a"]}}]}]
)
async def test_a_server_without_logprobs_is_told(reply: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="gives no logprobs"):
        await served(reply).force([1], 2)


async def test_an_end_in_place_of_a_token_is_no_likelihood() -> None:
    with pytest.raises(WorkerFailed, match="ended where a token"):
        await served(completion(tokens=[], token_logprobs=[])).force([1], 2)


async def test_a_server_that_cannot_tell_tokens_is_named_with_what_it_lacks() -> None:
    with pytest.raises(SetupError, match=r"'m' cannot be asked .* /tokenize gives no list"):
        await check(served({"count": 3}), "m")


class Biased:
    """A server that counts the bias in: whatever it is made to say, it finds certain."""

    async def tokens(self, text: str) -> Sequence[int]:
        return [*map(ord, text)]

    async def force(self, before: Sequence[int], token: int) -> NextToken:
        return NextToken(chr(token), -0.001, True)


async def test_a_likelihood_from_behind_the_bias_is_told() -> None:
    with pytest.raises(SetupError, match="only after logit_bias"):
        await check(Biased(), "m")


@pytest.mark.model
async def test_a_forced_token_has_the_models_own_likelihood() -> None:
    engine = await ModelSettings().load("builtin", slots=1)
    try:
        texts = EngineTexts(engine)
        context = await texts.tokens("The capital of France is")
        request = GenerationRequest(TextPrompt(context), Sampling(max_tokens=1, temperature=0), top_logprobs=2)
        (free,) = [entry async for delta in engine.generate(request) for entry in delta.logprobs]
        for entry in free.top:
            (token,) = await engine.tokenize(entry.token, add_special=False)
            forced = await texts.force(context, token)
            assert forced.text == entry.token
            assert forced.logprob == pytest.approx(entry.logprob, abs=1e-2)
            assert forced.is_likeliest is (entry.token == free.token)
    finally:
        await engine.close()
