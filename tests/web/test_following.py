import asyncio
from collections.abc import AsyncIterator, Sequence

from fastchat.arena.records import Side
from fastchat.arena.views import ConversationView, DeltaEvent, Event, StateEvent
from fastchat.core.errors import NotFound
from fastchat.web.following import follow
from fastchat.web.settings import Pace
from tests.web.scenes import answer, turn, view

FAST = Pace(sign_of_life_s=0.01)
OPEN = view(turn("Hi", answer(ending=None)))


async def told(*events: Event | Exception) -> AsyncIterator[Event]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


async def all_of(*events: Event | Exception) -> Sequence[ConversationView | None]:
    return [shown async for shown in follow(told(*events), FAST)]


def text_of(shown: ConversationView | None) -> str:
    assert shown is not None
    return shown.turns[-1].answers[0].text


async def test_what_is_added_grows_the_state_that_came_before() -> None:
    more = [DeltaEvent(text={Side.LEFT: piece}) for piece in ("Hel", "lo")]
    assert text_of((await all_of(StateEvent(conversation=OPEN), *more))[-1]) == "Hello"


async def test_a_later_state_replaces_what_was_added() -> None:
    done = view(turn("Hi", answer(text="Done.")))
    shown = await all_of(
        StateEvent(conversation=OPEN), DeltaEvent(text={Side.LEFT: "Hel"}), StateEvent(conversation=done)
    )
    assert shown[-1] == done


async def test_many_events_become_few_updates() -> None:
    more = [DeltaEvent(text={Side.LEFT: "x"})] * 500
    shown = await all_of(StateEvent(conversation=OPEN), *more)
    assert len(shown) < 10
    assert text_of(shown[-1]) == "x" * 500


async def test_there_is_a_sign_of_life_while_nothing_comes() -> None:
    silence = asyncio.Event()

    async def events() -> AsyncIterator[Event]:
        yield StateEvent(conversation=OPEN)
        await silence.wait()

    views = follow(events(), FAST)
    assert [await anext(views) for _ in range(3)] == [OPEN] * 3
    await views.aclose()


async def test_closing_ends_the_following() -> None:
    is_closed = asyncio.Event()

    async def events() -> AsyncIterator[Event]:
        try:
            yield StateEvent(conversation=OPEN)
            await asyncio.Event().wait()
        finally:
            is_closed.set()

    views = follow(events(), FAST)
    await anext(views)
    await views.aclose()
    await asyncio.wait_for(is_closed.wait(), 1)


async def test_a_refusal_ends_it_with_what_there_was() -> None:
    assert (await all_of(StateEvent(conversation=OPEN), NotFound("Gone.")))[-1] == OPEN
