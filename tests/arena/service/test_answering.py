"""Writing the answers of one turn, with models that say what a test hands them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from fastchat.arena.answering import Commission, Growth, Pace, Writing
from fastchat.arena.records import Answer, Ending, Side
from fastchat.client.chat import ChatDelta, ChatParameters, ChatUsage, Message
from fastchat.core.errors import ContextLengthExceeded, FastChatError, NoWorker
from tests.clocks import Clock

END = ChatDelta(finish_reason="stop", usage=ChatUsage(3, 2))


class Chat:
    """Says what is put into the queue of each model; an error is raised."""

    def __init__(self) -> None:
        self.said: defaultdict[str, asyncio.Queue[ChatDelta | Exception]] = defaultdict(asyncio.Queue)
        self.closed: list[str] = []

    def say(self, model: str, *said: str | ChatDelta | Exception) -> None:
        for one in said:
            self.said[model].put_nowait(ChatDelta(text=one) if isinstance(one, str) else one)

    async def stream(
        self, model: str, messages: Sequence[Message], parameters: ChatParameters
    ) -> AsyncGenerator[ChatDelta, None]:
        try:
            while True:
                said = await self.said[model].get()
                if isinstance(said, Exception):
                    raise said
                yield said
                if said.finish_reason:
                    return
        finally:
            self.closed.append(model)


class Writer:
    def __init__(self, *, wait_s: float = 5, sides: int = 2, **pace: float) -> None:
        self.chat, self.clock = Chat(), Clock()
        self.shown: list[Growth] = []
        commissions = [
            Commission(Answer(f"id-{side}", side, model), model, [], ChatParameters())
            for side, model in list(zip(Side, "lr", strict=True))[:sides]
        ]
        chat: Any = self.chat
        self.writing = Writing(
            chat, commissions, Pace(**{"flush_s": 0.001, **pace}), first_token_wait_s=wait_s, clock=self.clock
        )
        self.task: asyncio.Task[tuple[Answer, ...]] | None = None

    async def begin(self) -> None:
        self.task = asyncio.create_task(self.writing.run(self.shown.append))
        await settle()

    async def end(self) -> tuple[Answer, ...]:
        if self.task is None:
            await self.begin()
        assert self.task is not None
        async with asyncio.timeout(5):
            return await self.task

    @property
    def text(self) -> dict[Side, str]:
        return {side: "".join(growth.text.get(side, "") for growth in self.shown) for side in Side}


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_faster_side_waits_for_the_first_token_of_the_slower() -> None:
    writer = Writer()
    writer.chat.say("l", "all of it", END)
    await writer.begin()
    await asyncio.sleep(0.02)
    assert writer.shown == []
    assert [answer.text for answer in writer.writing.as_shown()] == ["", ""]
    writer.chat.say("r", "at last")
    await settle()
    assert writer.shown == [Growth({Side.LEFT: "all of it", Side.RIGHT: "at last"}, {Side.LEFT: "", Side.RIGHT: ""})]
    writer.chat.say("r", END)
    await writer.end()


async def test_the_faster_side_does_not_wait_forever() -> None:
    writer = Writer(wait_s=0.01)
    writer.chat.say("l", "all of it", END)
    await writer.begin()
    async with asyncio.timeout(5):
        while not writer.shown:
            await asyncio.sleep(0.001)
    assert writer.shown[0].text == {Side.LEFT: "all of it", Side.RIGHT: ""}
    writer.chat.say("r", END)
    await writer.end()


async def test_a_side_that_fails_neither_holds_the_other_back_nor_ends_it() -> None:
    writer = Writer()
    writer.chat.say("r", NoWorker("nobody serves r"))
    writer.chat.say("l", "on", " and on", END)
    left, right = await writer.end()
    assert (left.text, left.ending) == ("on and on", Ending.COMPLETE)
    assert (right.text, right.ending, right.error) == ("", Ending.FAILED, "busy: nobody serves r")


async def test_what_comes_between_two_moments_is_shown_in_one_piece_for_both() -> None:
    writer = Writer(flush_s=0.02)
    await writer.begin()
    for model in "lr":
        writer.chat.say(model, *"0123456789" * 5, END)
    await writer.end()
    assert len(writer.shown) <= 3
    assert all(growth.text.keys() == set(Side) for growth in writer.shown)
    assert writer.text == {Side.LEFT: "0123456789" * 5, Side.RIGHT: "0123456789" * 5}


async def test_stopping_ends_both_at_once_and_keeps_what_has_come() -> None:
    writer = Writer()
    writer.chat.say("l", "half an ")
    writer.chat.say("r", "half a ")
    await writer.begin()
    writer.writing.stop(Ending.STOPPED)
    left, right = await writer.end()
    assert [(one.text, one.ending) for one in (left, right)] == [
        ("half an ", Ending.STOPPED),
        ("half a ", Ending.STOPPED),
    ]
    assert sorted(writer.chat.closed) == ["l", "r"]


async def test_stopping_leaves_a_side_alone_that_has_ended() -> None:
    writer = Writer()
    writer.chat.say("l", "done", END)
    writer.chat.say("r", "not done")
    await writer.begin()
    writer.writing.stop(Ending.STOPPED)
    left, right = await writer.end()
    assert (left.ending, right.ending) == (Ending.COMPLETE, Ending.STOPPED)


@pytest.mark.parametrize("said", [["soon"], ["done", END], [NoWorker("nobody serves l")]])
async def test_what_is_stopped_before_both_have_begun_does_not_show_who_was_faster(said: list[Any]) -> None:
    writer = Writer()
    writer.chat.say("l", *said)
    await writer.begin()
    writer.writing.stop(Ending.STOPPED)
    left, right = await writer.end()
    assert [(one.text, one.ending, one.error, one.first_token_s) for one in (left, right)] == [
        ("", Ending.STOPPED, "", None)
    ] * 2
    assert writer.text == {Side.LEFT: "", Side.RIGHT: ""}


@pytest.mark.parametrize("finish", ["stop", "length"])
async def test_an_answer_without_a_word_has_failed(finish: str) -> None:
    writer = Writer()
    writer.chat.say("l", ChatDelta(text="\0"), ChatDelta(finish_reason=finish))
    writer.chat.say("r", ChatDelta(reasoning="Hm."), ChatDelta(finish_reason=finish))
    left, right = await writer.end()
    assert (left.ending, left.error) == (Ending.FAILED, "broke_off: The answer is empty.")
    assert right.is_whole


async def test_what_is_stopped_before_it_begins_asks_nobody() -> None:
    writer = Writer()
    writer.writing.stop(Ending.STOPPED)
    assert [answer.ending for answer in await writer.end()] == [Ending.STOPPED, Ending.STOPPED]
    assert writer.chat.closed == []


async def test_cancelling_closes_the_streams() -> None:
    writer = Writer()
    await writer.begin()
    assert writer.task is not None
    writer.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer.task
    assert sorted(writer.chat.closed) == ["l", "r"]
    assert [answer.ending for answer in writer.writing.as_shown()] == [Ending.INTERRUPTED] * 2


async def test_an_answer_that_takes_too_long_has_failed() -> None:
    writer = Writer(sides=1, answer_s=0.01)
    (answer,) = await writer.end()
    assert answer.ending is Ending.FAILED
    assert answer.error.startswith("busy: ")
    assert writer.chat.closed == ["l"]


@pytest.mark.parametrize(
    ("said", "ending", "error"),
    [
        (ChatDelta(finish_reason="stop"), Ending.COMPLETE, ""),
        (ChatDelta(finish_reason="length"), Ending.CUT_OFF, ""),
        (ContextLengthExceeded(9, 8), Ending.FAILED, "too_long: "),
        (RuntimeError("what now"), Ending.FAILED, "broke_off: RuntimeError: what now"),
    ],
)
async def test_every_end_has_its_name(said: ChatDelta | FastChatError, ending: Ending, error: str) -> None:
    writer = Writer(sides=1)
    writer.chat.say("l", "x", said)
    (answer,) = await writer.end()
    assert (answer.text, answer.ending) == ("x", ending)
    assert answer.error.startswith(error)
    assert bool(answer.error) == bool(error)


async def test_times_are_those_of_each_side() -> None:
    writer = Writer()
    await writer.begin()
    writer.clock.advance(1)
    writer.chat.say("l", "a")
    await settle()
    writer.clock.advance(2)
    writer.chat.say("l", "b", END)
    writer.chat.say("r", "c")
    await settle()
    writer.clock.advance(4)
    writer.chat.say("r", END)
    left, right = await writer.end()
    assert (left.first_token_s, left.duration_s, left.completion_tokens, left.prompt_tokens) == (1, 3, 2, 3)
    assert left.tokens_per_s == 0.5
    assert (right.first_token_s, right.duration_s) == (3, 7)


async def test_thoughts_are_kept_apart_from_the_answer() -> None:
    writer = Writer()
    writer.chat.say("l", ChatDelta(reasoning="Hm."), "Yes.", END)
    writer.chat.say("r", "<think>Hm", ".</think>\n\nYes.", END)
    left, right = await writer.end()
    assert (left.reasoning, left.text) == (right.reasoning, right.text) == ("Hm.", "Yes.")
    assert "".join(growth.reasoning[Side.LEFT] for growth in writer.shown) == "Hm."


async def test_halves_of_characters_and_nul_do_not_reach_the_store() -> None:
    writer = Writer(sides=1)
    writer.chat.say("l", "a\0\ud83d", "\ude00\ud83d", END)
    (answer,) = await writer.end()
    assert answer.text.encode()
    assert answer.text.startswith("a")
    assert "\0" not in answer.text
