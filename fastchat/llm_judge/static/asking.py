"""lm-eval's two questions, asked of a model: how likely is this ending, and what do you answer.

Tokens and boundaries are as lm-eval has them for models of its own, so that numbers compare: spaces at the end of a
context belong to what follows, and the ending's tokens are those of the whole text behind as many as the context has.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

from fastchat.core.errors import FastChatError, SetupError
from fastchat.llm_judge.asking import Ask, Call
from fastchat.llm_judge.budget import BudgetSpent
from fastchat.llm_judge.static.echo import Echo
from fastchat.llm_judge.static.texts import Likelihood, NextToken, Texts, check
from fastchat.llm_judge.working import work_through

Job = TypeVar("Job")
Result = TypeVar("Result")
# Looks on: a stage of so many calls, and of each that ends whether it was done.
Stage: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[bool], None]]]

_MOST_STOPS = 4  # OpenAI's API takes no more; the answer is cut at all of them here
_USUAL_TOKENS = 256  # lm-eval's


class _Ending(NamedTuple):
    before: Sequence[int]
    tokens: Sequence[int]


@dataclass(frozen=True, slots=True)
class Asking:
    """Likelihoods are asked of `echo` if that works, else of `texts`; with neither there are none, see `why_not`."""

    model: str
    ask: Ask
    echo: Echo | None
    texts: Texts | None
    why_not: str
    parallel: int  # calls at the same time
    stage: Stage

    async def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[Likelihood]:
        """Of endings, each behind its context.

        Raises:
            SetupError: they cannot be had of this model, or a call has failed for good.
        """
        split = [_split(context, ending) for context, ending in pairs]
        if self.echo is not None and await self.echo.works():
            return await self._all("likelihoods", split, self.echo.likelihood)
        if self.texts is None:
            raise SetupError(self.why_not)
        await check(self.texts, self.model)
        return await self._by_tokens(self.texts, await self._endings(self.texts, split))

    async def _by_tokens(self, texts: Texts, endings: Sequence[_Ending]) -> list[Likelihood]:
        async def force(place: tuple[_Ending, int]) -> NextToken:
            ending, at = place
            return await texts.force([*ending.before, *ending.tokens[:at]], ending.tokens[at])

        places = [(ending, at) for ending in endings for at in range(len(ending.tokens))]
        found = iter(await self._all("likelihoods", places, force))
        by_ending = [[next(found) for _ in ending.tokens] for ending in endings]
        return [
            Likelihood(sum(token.logprob for token in tokens), all(token.is_likeliest for token in tokens))
            for tokens in by_ending
        ]

    async def _endings(self, texts: Texts, split: Sequence[tuple[str, str]]) -> list[_Ending]:
        whole = list(dict.fromkeys(text for context, ending in split for text in (context, context + ending)))
        tokens = dict(zip(whole, await self._all("tokens", whole, texts.tokens), strict=True))
        found = []
        for context, ending in split:
            before = tokens[context]
            if not before:
                raise SetupError(
                    f"The tokenizer of {self.model!r} puts nothing before a text, so there is nothing behind which a "
                    "text without a context could be likely. Leave this task out."
                )
            together = tokens[context + ending]
            # An ending may melt into the context's last token; without any it would be the likeliest of all.
            start = min(len(before), len(together) - 1)
            found.append(_Ending(before[:start], together[start:]))
        return found

    async def answers(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """To contexts, each as one message, with lm-eval's settings of generation. What follows a stop is cut off.

        Raises:
            SetupError: a call has failed for good, or the budget does not suffice.
        """
        before: Counter[str] = Counter()
        calls = []
        for context, settings in asked:
            calls.append(_call(self.model, context, settings, seed=before[context]))
            before[context] += 1
        replies = await self._all("answers", calls, self.ask)
        return [_cut(reply.text, _stops(settings)) for reply, (_, settings) in zip(replies, asked, strict=True)]

    async def _all(self, name: str, jobs: Sequence[Job], work: Callable[[Job], Awaitable[Result]]) -> list[Result]:
        """A number over a part of the questions would be another number: one that fails fails them all.

        Raises:
            SetupError: one has failed for good, or the budget does not suffice.
        """
        results: dict[int, Result] = {}
        with self.stage(name, len(jobs)) as tell:

            async def one(number: int) -> None:
                results[number] = await work(jobs[number])
                tell(True)

            try:
                await work_through(range(len(jobs)), one, at_once=self.parallel)
            except SetupError:
                raise
            except BudgetSpent:
                raise SetupError(
                    "The budget does not suffice for this task. With a higher one the same command goes on: what was "
                    "answered is in the cache."
                ) from None
            except FastChatError as error:
                raise SetupError(f"{self.model!r} did not answer all that the task asks: {error.message}") from error
        return [results[number] for number in range(len(jobs))]


def _split(context: str, ending: str) -> tuple[str, str]:
    bare = context.rstrip()
    return bare, context[len(bare) :] + ending


def _call(model: str, context: str, settings: Mapping[str, Any], seed: int) -> Call:
    extra: dict[str, Any] = {"stop": list(stops[:_MOST_STOPS])} if (stops := _stops(settings)) else {}
    is_drawn = bool(settings.get("do_sample")) and float(settings.get("temperature", 1)) > 0
    if is_drawn and "top_p" in settings:
        extra["top_p"] = settings["top_p"]
    return Call(
        model,
        ({"role": "user", "content": context},),
        temperature=float(settings.get("temperature", 1)) if is_drawn else 0.0,
        max_tokens=int(settings.get("max_gen_toks", _USUAL_TOKENS)),
        seed=seed,
        extra=extra,
    )


def _stops(settings: Mapping[str, Any]) -> Sequence[str]:
    until = settings.get("until") or ()
    return [text for text in ([until] if isinstance(until, str) else until) if text]


def _cut(text: str, stops: Sequence[str]) -> str:
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]
