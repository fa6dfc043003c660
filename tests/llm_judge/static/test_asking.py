from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from fastchat.core.errors import ContextLengthExceeded, SetupError
from fastchat.llm_judge.asking import Call, Reply
from fastchat.llm_judge.budget import BudgetSpent
from fastchat.llm_judge.static.asking import Asking
from fastchat.llm_judge.static.texts import Likelihood, NextToken


class Letters:
    """A letter is a token, as likely as `logprobs` says; "x" begins every text."""

    def __init__(self, logprobs: dict[str, float], longest: int = 100, start: str = "x") -> None:
        self.logprobs = logprobs
        self.longest = longest
        self.start = start
        self.forced: list[str] = []

    async def tokens(self, text: str) -> Sequence[int]:
        return [*map(ord, self.start + text)]

    async def force(self, before: Sequence[int], token: int) -> NextToken:
        if len(before) > self.longest:
            raise ContextLengthExceeded(len(before), self.longest)
        self.forced.append("".join(map(chr, [*before, token])))
        logprob = self.logprobs.get(chr(token), -9.0)
        return NextToken(chr(token), logprob, logprob > -1)


async def nobody(call: Call) -> Reply:
    raise AssertionError("nobody is to be asked")


@contextmanager
def unseen(name: str, total: int) -> Iterator[Callable[[bool], None]]:
    yield lambda is_done: None


def asking(texts: Letters | None = None, ask: Callable[[Call], object] = nobody) -> Asking:
    return Asking("m", ask, None, texts, "no likelihoods here", 3, unseen)  # type: ignore[arg-type]


async def test_an_ending_is_as_likely_as_its_tokens_together() -> None:
    letters = Letters({"a": -0.5, "b": -2.0})

    found = await asking(letters).likelihoods([("Q", "aa"), ("Q", "ab")])

    assert found == [Likelihood(-1.0, True), Likelihood(-2.5, False)]
    assert {"xQa", "xQaa", "xQab"} <= set(letters.forced)


async def test_spaces_at_the_end_of_a_context_belong_to_what_follows() -> None:
    letters = Letters({" ": -0.5, "a": -0.5})

    assert await asking(letters).likelihoods([("Q ", "a")]) == [Likelihood(-1.0, True)]


async def test_an_ending_that_melts_into_the_context_is_not_certain() -> None:
    class Melting(Letters):
        async def tokens(self, text: str) -> Sequence[int]:
            return await super().tokens(text.replace("Qu", "R"))

    assert await asking(Melting({"R": -0.5})).likelihoods([("Q", "u")]) == [Likelihood(-0.5, True)]


async def test_a_text_without_a_context_is_likely_behind_what_the_tokenizer_puts_first() -> None:
    assert await asking(Letters({"a": -0.5})).likelihoods([("", "a")]) == [Likelihood(-0.5, True)]
    with pytest.raises(SetupError, match="puts nothing before a text"):
        await asking(Letters({"a": -0.5}, start="")).likelihoods([("", "a")])


async def test_likelihoods_that_cannot_be_had_say_why() -> None:
    with pytest.raises(SetupError, match="no likelihoods here"):
        await asking().likelihoods([("Q", "a")])
    with pytest.raises(SetupError, match=r"did not answer all .* maximum context length is 4 tokens"):
        await asking(Letters({}, longest=4)).likelihoods([("a longer question", "a")])


async def test_answers_end_before_the_first_stop() -> None:
    calls: list[Call] = []

    async def say(call: Call) -> Reply:
        calls.append(call)
        return Reply("Paris. Of course.\nQuestion: and Rome?")

    settings = {"until": ["\n", "Of", "a", "b", "c"], "max_gen_toks": 7, "do_sample": False, "temperature": 0.5}
    told = await asking(ask=say).answers([("Where?", settings), ("Where?", settings)])

    assert told == ["P", "P"]
    assert [(call.seed, call.temperature, call.max_tokens) for call in calls] == [(0, 0.0, 7), (1, 0.0, 7)]
    assert calls[0].extra == {"stop": ["\n", "Of", "a", "b"]}  # OpenAI's API takes four
    assert calls[0].messages == ({"role": "user", "content": "Where?"},)


async def test_drawn_answers_are_drawn_as_the_task_says() -> None:
    calls: list[Call] = []

    async def say(call: Call) -> Reply:
        calls.append(call)
        return Reply("x")

    await asking(ask=say).answers([("Q", {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "until": "\n"})])
    assert (calls[0].temperature, dict(calls[0].extra)) == (0.6, {"stop": ["\n"], "top_p": 0.9})


async def test_a_budget_that_does_not_suffice_is_told() -> None:
    async def refuse(call: Call) -> Reply:
        raise BudgetSpent

    with pytest.raises(SetupError, match="budget does not suffice"):
        await asking(ask=refuse).answers([("Q", {})])
