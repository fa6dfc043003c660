"""How likely an ending is, of a server that scores what it is given: `echo` with `logprobs` in /v1/completions.

One call an ending. vLLM and SGLang have it, and OpenAI's own text models had it; workers of ours refuse it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from fastchat.core.errors import FastChatError, InvalidRequest
from fastchat.llm_judge.static.texts import NEARLY, Likelihood, Post


class Echo:
    def __init__(self, model: str, post: Callable[[Post], Awaitable[Mapping[str, Any]]]) -> None:
        self._model = model
        self._post = post

    async def works(self) -> bool:
        try:
            await self.likelihood(("Yes and", " no, or both"))
        except FastChatError:
            return False
        return True

    async def likelihood(self, pair: tuple[str, str]) -> Likelihood:
        """
        Raises:
            FastChatError: the server refuses, or does not score what it was given.
        """
        context, ending = pair
        text = context + ending
        fields = {"prompt": text, "max_tokens": 1, "temperature": 0.0, "logprobs": 1, "echo": True}
        reply = await self._post(Post("/v1/completions", self._model, fields))
        try:
            choice = reply["choices"][0]
            told = choice["logprobs"]
            if not choice["text"].startswith(text):
                raise _without_echo()
            offsets, logprobs, best = told["text_offset"], told["token_logprobs"], told["top_logprobs"]
            return _of_ending(offsets, logprobs, best, len(context), len(text))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise _without_echo() from None


def _of_ending(
    offsets: Sequence[int],
    logprobs: Sequence[float | None],
    best: Sequence[Mapping[str, float] | None],
    start: int,
    end: int,
) -> Likelihood:
    """Of the tokens between two characters; one that begins before and ends behind the first of them counts."""
    ends = [following for _, following in pairwise([*offsets, end])]
    inside = [at for at, offset in enumerate(offsets) if offset < end and ends[at] > start]
    if not inside or offsets[inside[0]] > start:
        raise _without_echo()
    found = []
    for at in inside:
        logprob = logprobs[at]
        if logprob is None:
            raise InvalidRequest("It does not say how likely the first token of a text is.")
        found.append((logprob, logprob >= max((best[at] or {}).values(), default=logprob) - NEARLY))
    return Likelihood(sum(logprob for logprob, _ in found), all(is_best for _, is_best in found))


def _without_echo() -> InvalidRequest:
    return InvalidRequest("It does not score what it is given.")
