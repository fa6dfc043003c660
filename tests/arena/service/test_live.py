"""Following answers while they are written: joining late, leaving, and the end of the process."""

import asyncio
import weakref
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from fastchat.arena.records import Ending, Mode, Side
from fastchat.arena.views import DeltaEvent, StateEvent
from tests.arena.service.stage import ADA, LEFT_NAME, QUICK, RIGHT_NAME, Stage, stage, words


async def begin(set_up: Stage, mode: Mode = Mode.BATTLE, *, held_before: int = 1) -> str:
    """A conversation whose models have said something and wait."""
    for name in (LEFT_NAME, RIGHT_NAME):
        set_up.models[name].held_before = held_before
    names = () if mode is Mode.BATTLE else (LEFT_NAME, RIGHT_NAME)
    draft = await set_up.arena.start(ADA, "default", mode, models=names)
    await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
    for name in (LEFT_NAME, RIGHT_NAME):
        await set_up.models[name].was_asked.wait()
    return draft.conversation_id


def let_go(set_up: Stage) -> None:
    for name in (LEFT_NAME, RIGHT_NAME):
        set_up.models[name].go_on.set()


async def said(set_up: Stage, conversation_id: str) -> None:
    """Until the first words of both are shown."""
    live = set_up.arena._live.get(conversation_id)
    assert live is not None
    async with asyncio.timeout(5):
        while not all(answer.text for answer in live.conversation.turns[-1].answers):
            await asyncio.sleep(0.001)


async def one_ended(set_up: Stage, conversation_id: str) -> None:
    """Until one side has ended, and could be seen to have."""
    live = set_up.arena._live.get(conversation_id)
    assert live is not None
    async with asyncio.timeout(5):
        while not any(answer.ending for answer in live.conversation.turns[-1].answers):
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.03)


async def test_whoever_follows_gets_the_state_what_is_added_and_the_end(set_up: Stage) -> None:
    conversation_id = await begin(set_up, held_before=0)
    following = asyncio.create_task(set_up.events(conversation_id))
    await set_up.followed(conversation_id)
    let_go(set_up)
    first, *deltas, last = await following
    assert isinstance(first, StateEvent)
    assert first.conversation.is_being_answered
    assert deltas
    assert all(isinstance(event, DeltaEvent) and event.text.keys() == set(Side) for event in deltas)
    text = {side: "".join(event.text[side] for event in deltas if isinstance(event, DeltaEvent)) for side in Side}
    assert isinstance(last, StateEvent)
    assert {answer.side: answer.text for answer in last.conversation.turns[0].answers} == text
    assert last.conversation.can_vote


async def test_whoever_joins_late_misses_and_repeats_nothing(set_up: Stage) -> None:
    conversation_id = await begin(set_up)
    seen: list[str] = []
    async with aclosing(set_up.arena.follow(ADA, conversation_id)) as events:
        async for event in events:  # until the first words are there
            if isinstance(event, DeltaEvent) or event.conversation.turns[0].answers[0].text:
                break
    late = asyncio.create_task(set_up.events(conversation_id))
    await set_up.followed(conversation_id)
    let_go(set_up)
    first, *deltas, last = await late
    assert isinstance(first, StateEvent)
    assert isinstance(last, StateEvent)
    seen = [first.conversation.turns[0].answers[0].text]
    seen += [event.text[Side.LEFT] for event in deltas if isinstance(event, DeltaEvent)]
    assert first.conversation.turns[0].answers[0].text == "Hello"
    assert "".join(seen) == last.conversation.turns[0].answers[0].text == "Hello there."


async def test_an_event_is_put_into_bytes_once_for_all_followers(set_up: Stage) -> None:
    conversation_id = await begin(set_up, held_before=0)

    async def sent() -> list[bytes]:
        async with aclosing(set_up.arena.published(ADA, conversation_id)) as events:
            return [published.sse async for published in events]

    following = [asyncio.create_task(sent()) for _ in range(3)]
    await set_up.followed(conversation_id, by=3)
    let_go(set_up)
    one, two, three = await asyncio.gather(*following)
    assert len(one) > 2
    assert all(a is b is c for a, b, c in zip(one[1:], two[1:], three[1:], strict=True))


async def test_events_that_all_followers_have_seen_are_forgotten(set_up: Stage) -> None:
    conversation_id = await begin(set_up)
    async with aclosing(set_up.arena.published(ADA, conversation_id)) as events:
        await anext(events)
        live = set_up.arena._live.get(conversation_id)
        assert live is not None
        for _ in range(3):
            live._publish(DeltaEvent(text={Side.LEFT: "more"}))
        oldest = weakref.ref(await anext(events))
        assert oldest() is not None
        await anext(events)
        assert oldest() is None


async def test_following_what_is_not_being_answered_gives_its_state(set_up: Stage) -> None:
    battle = await set_up.battle()
    assert await set_up.events(battle.conversation_id) == [StateEvent(conversation=battle)]


async def test_writing_stops_when_nobody_has_followed_for_a_while(tmp_path: Path, empty_store: Path) -> None:
    async with stage(tmp_path, empty_store, pace=replace(QUICK, grace_s=0.2)) as set_up:
        conversation_id = await begin(set_up)
        async with aclosing(set_up.arena.follow(ADA, conversation_id)) as events:
            await anext(events)
            await asyncio.sleep(0.3)
            assert not set_up.models[LEFT_NAME].was_left.is_set()
        async with asyncio.timeout(5):
            await set_up.models[LEFT_NAME].was_left.wait()
            await set_up.models[RIGHT_NAME].was_left.wait()
        seen = await set_up.until_answered(conversation_id)
        assert {answer.ending for answer in seen.turns[0].answers} == {Ending.STOPPED}


async def test_coming_back_in_time_lets_the_writing_go_on(tmp_path: Path, empty_store: Path) -> None:
    async with stage(tmp_path, empty_store, pace=replace(QUICK, grace_s=0.3)) as set_up:
        conversation_id = await begin(set_up)
        async with aclosing(set_up.arena.follow(ADA, conversation_id)) as events:
            await anext(events)
        following = asyncio.create_task(set_up.events(conversation_id))
        await asyncio.sleep(0.4)
        let_go(set_up)
        last = (await following)[-1]
        assert isinstance(last, StateEvent)
        assert last.conversation.can_vote


async def test_the_end_of_the_process_keeps_what_has_come(set_up: Stage) -> None:
    conversation_id = await begin(set_up)
    following = asyncio.create_task(set_up.events(conversation_id))
    await set_up.followed(conversation_id)
    await said(set_up, conversation_id)
    await set_up.restart()
    last = (await following)[-1]
    assert isinstance(last, StateEvent)
    kept = await set_up.store.conversation(conversation_id)
    assert kept is not None
    assert [(one.text, one.ending) for one in kept.turns[0].answers] == [("Hello", Ending.INTERRUPTED)] * 2
    assert last.conversation.turns[0].answers[0].text == "Hello"


async def test_letting_go_ends_the_streams_of_those_who_follow(set_up: Stage) -> None:
    conversation_id = await begin(set_up)
    following = asyncio.create_task(set_up.events(conversation_id))
    await set_up.followed(conversation_id)
    await said(set_up, conversation_id)
    set_up.arena.let_go()
    async with asyncio.timeout(5):
        last = (await following)[-1]
    assert isinstance(last, StateEvent)
    assert {answer.ending for answer in last.conversation.turns[0].answers} == {Ending.INTERRUPTED}


async def test_a_store_that_fails_ends_the_answers_as_interrupted(set_up: Stage) -> None:
    conversation_id = await begin(set_up)

    async def fail(*_: object) -> None:
        raise OSError("the disk is full")

    set_up.store.save_answers = fail  # type: ignore[method-assign]
    following = asyncio.create_task(set_up.events(conversation_id))
    await set_up.followed(conversation_id)
    let_go(set_up)
    last = (await following)[-1]
    assert isinstance(last, StateEvent)
    assert {answer.ending for answer in last.conversation.turns[0].answers} == {Ending.INTERRUPTED}
    assert not last.conversation.can_vote


async def test_how_one_side_ended_is_told_at_once_with_names_and_at_the_end_without(set_up: Stage) -> None:
    left, right = set_up.models[LEFT_NAME], set_up.models[RIGHT_NAME]
    left.finish = None  # it breaks off
    for mode, is_early in ((Mode.SIDE_BY_SIDE, True), (Mode.BATTLE, False)):
        left.go_on.clear()
        right.go_on.clear()
        conversation_id = await begin(set_up, mode)
        following = asyncio.create_task(set_up.events(conversation_id))
        await set_up.followed(conversation_id)
        left.go_on.set()
        await one_ended(set_up, conversation_id)
        right.go_on.set()
        first, *between, last = await following
        assert isinstance(first, StateEvent)
        assert isinstance(last, StateEvent)
        assert not any(answer.ending for answer in first.conversation.turns[0].answers)
        assert any(isinstance(event, StateEvent) for event in between) is is_early
        endings = {answer.ending for answer in last.conversation.turns[0].answers}
        assert endings == {Ending.FAILED, Ending.COMPLETE}


async def test_the_faster_side_is_not_seen_before_the_slower_has_begun(set_up: Stage) -> None:
    set_up.models[RIGHT_NAME].held_before = 0
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
    following = asyncio.create_task(set_up.events(draft.conversation_id))
    await set_up.followed(draft.conversation_id)
    await set_up.models[RIGHT_NAME].was_asked.wait()
    await asyncio.sleep(0.03)  # the left one has said everything
    seen = await set_up.arena.conversation(ADA, draft.conversation_id)
    assert [answer.text for answer in seen.turns[0].answers] == ["", ""]
    assert [answer.ending for answer in seen.turns[0].answers] == [None, None]
    set_up.models[RIGHT_NAME].go_on.set()
    _, delta, *_ = await following
    assert isinstance(delta, DeltaEvent)
    assert all(delta.text.values())


async def test_who_has_many_to_write_to_shows_less_often(tmp_path: Path, empty_store: Path) -> None:
    pace = replace(QUICK, flush_s=0.001, busy_flush_s=0.002, busy_above=1)
    async with stage(tmp_path, empty_store, pace=pace) as set_up:
        live = set_up.arena._live
        for expected in (0.001, 0.002):
            await begin(set_up, held_before=0)
            assert live.flush_s() == expected
        let_go(set_up)
