"""Marks and moderation, as the service applies them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastchat.arena import screening
from fastchat.arena.config import ArenaConfig, Integrity
from fastchat.arena.moderation.base import Judgement, Role
from fastchat.arena.moderation.nothing import Nothing
from fastchat.arena.records import Ending, Mark, Mode, Outcome
from fastchat.arena.screening import PIECE_CHARS, SEARCHED_CHARS, Screening
from fastchat.arena.tokens import vote_token
from fastchat.arena.views import StateEvent
from fastchat.core.errors import NotNow, PermissionDenied
from tests.arena.service.stage import ADA, BOB, KEY, LEFT_NAME, RIGHT_NAME, Stage, stage, words


class Watcher:
    """Flags what holds "evil", fails at "riddle", and notes what it was asked."""

    sees_images = False

    def __init__(self) -> None:
        self.seen: list[tuple[Role, str]] = []
        self.at_once = 0
        self.most_at_once = 0

    async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
        self.seen.append((role, text))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.005)
        self.at_once -= 1
        is_flagged = "evil" in text
        return Judgement("watcher", is_flagged, {"evil": 1.0} if is_flagged else {}, is_failed="riddle" in text)


async def marks(set_up: Stage, question: str, who: object = ADA) -> frozenset[Mark]:
    battle = await set_up.battle(question, who)  # type: ignore[arg-type]
    assert battle.marks == ()  # they could tell who answers
    kept = await set_up.store.conversation(battle.conversation_id)
    assert kept is not None
    return kept.marks


async def test_a_conversation_in_which_a_model_names_itself_is_marked(set_up: Stage) -> None:
    set_up.models[RIGHT_NAME].pieces = ["I am ", f"{RIGHT_NAME}, at your service."]
    assert await marks(set_up, "Hello there") == {Mark.NAMES_ITSELF}


async def test_asking_for_identity_is_marked_also_in_the_system_message(set_up: Stage) -> None:
    assert await marks(set_up, "Which model are you?") == {Mark.ASKS_FOR_IDENTITY}
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE, system="Which model are you?")
    await set_up.arena.ask(ADA, draft.conversation_id, words("Begin"))
    await set_up.until_answered(draft.conversation_id)
    kept = await set_up.store.conversation(draft.conversation_id)
    assert kept is not None
    assert Mark.ASKS_FOR_IDENTITY in kept.marks


async def test_a_prompt_that_comes_again_is_marked(set_up: Stage) -> None:
    assert await marks(set_up, "Tell a joke") == frozenset()
    assert await marks(set_up, "tell a joke!") == {Mark.REPEATED_PROMPT}
    assert await marks(set_up, "Tell a joke", BOB) == frozenset()


async def test_a_prompt_that_everybody_sends_is_marked(tmp_path: Path, empty_store: Path) -> None:
    config = ArenaConfig(integrity=Integrity(turns_per_minute=None))
    async with stage(tmp_path, empty_store, arenas={"default": config}) as set_up:
        for _ in range(20):
            await set_up.battle("hi")
        assert Mark.FREQUENT_PROMPT in await marks(set_up, "hi", BOB)


async def test_the_arenas_own_questions_are_marked(tmp_path: Path, empty_store: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"text": "May a tenant keep a cat?"}\n')
    config = ArenaConfig(questions=tmp_path / "q.jsonl")
    async with stage(tmp_path, empty_store, arenas={"default": config}) as set_up:
        (drawn,) = await set_up.arena.random_question(ADA, "default")
        assert drawn.text == "May a tenant keep a cat?"
        assert await marks(set_up, drawn.text) == {Mark.PRESET_PROMPT}


async def test_prompt_and_both_answers_are_moderated_the_answers_at_the_same_time(
    tmp_path: Path, empty_store: Path
) -> None:
    watcher = Watcher()
    async with stage(tmp_path, empty_store, moderators={"default": watcher}) as set_up:
        set_up.models[RIGHT_NAME].pieces = ["An evil answer."]
        assert await marks(set_up, "A question") == {Mark.FLAGGED_ANSWER}
        assert sorted(watcher.seen) == [
            ("assistant", "An evil answer."),
            ("assistant", "Hello there."),
            ("user", "A question"),
        ]
        assert watcher.most_at_once == 2
        assert await marks(set_up, "An evil question") == {Mark.FLAGGED_PROMPT, Mark.FLAGGED_ANSWER}
        assert Mark.UNMODERATED in await marks(set_up, "A riddle")
        flagged = await set_up.store.flagged("default")
        assert [one.role for one in flagged].count("assistant") == 3
        assert [one.role for one in flagged].count("user") == 1


async def test_where_the_arena_says_so_flagged_questions_are_refused_and_answers_withheld(
    tmp_path: Path, empty_store: Path
) -> None:
    strict = ArenaConfig(integrity=Integrity(on_flag="refuse"))
    watcher = Watcher()
    async with stage(tmp_path, empty_store, arenas={"default": strict}, moderators={"default": watcher}) as set_up:
        with pytest.raises(PermissionDenied, match="against the rules of this arena"):
            await set_up.battle("An evil question")
        assert set_up.models[LEFT_NAME].requests == []
        set_up.models[LEFT_NAME].pieces = ["An evil answer."]
        battle = await set_up.battle("A question")
        withheld = [one for one in battle.turns[0].answers if one.ending is Ending.FAILED]
        assert [(one.text, one.failure) for one in withheld] == [
            ("", "This answer is not shown: it goes against the rules of this arena.")
        ]
        assert not battle.can_vote


async def test_the_time_that_moderators_take_is_no_time_to_read(tmp_path: Path, empty_store: Path) -> None:
    class Slow(Watcher):
        async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
            if role == "user":
                set_up.wall.advance(30)
            return Judgement("slow")

    async with stage(tmp_path, empty_store, moderators={"default": Slow()}) as set_up:
        draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
        await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
        last = (await set_up.events(draft.conversation_id))[-1]
        assert isinstance(last, StateEvent)
        with pytest.raises(NotNow, match="Read both answers first"):
            await set_up.arena.vote(ADA, draft.conversation_id, last.conversation.vote_token or "", Outcome.TIE)


async def test_answers_that_are_being_examined_cannot_be_voted_on_yet(tmp_path: Path, empty_store: Path) -> None:
    judging, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Watcher):
        async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
            if role == "assistant":
                judging.set()
                await go_on.wait()
            return Judgement("slow")

    async with stage(tmp_path, empty_store, moderators={"default": Slow()}) as set_up:
        draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
        await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
        await judging.wait()
        seen = await set_up.arena.conversation(ADA, draft.conversation_id)
        kept = set_up.arena._live.get(draft.conversation_id)
        assert kept is not None
        assert (seen.is_being_answered, seen.can_vote, seen.vote_token) == (True, False, None)
        token = vote_token(KEY, kept.conversation)
        set_up.wall.advance(60)
        for early in (
            set_up.arena.vote(ADA, draft.conversation_id, token, Outcome.LEFT),
            set_up.arena.ask(ADA, draft.conversation_id, words("And then?")),
            set_up.arena.regenerate(ADA, draft.conversation_id),
        ):
            with pytest.raises(NotNow, match="still being written"):
                await early
        go_on.set()
        answered = await set_up.until_answered(draft.conversation_id)
        assert answered.vote_token == token
        await set_up.arena.vote(ADA, draft.conversation_id, token, Outcome.LEFT)


async def test_long_texts_are_searched_a_piece_at_a_time_and_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[str] = []
    monkeypatch.setattr(screening, "asks_for_identity", lambda piece, models: bool(pieces.append(piece)))
    screen = Screening(ArenaConfig(), Nothing(), key=b"k" * 32, clock=lambda: 0.0)
    await screen.marks_of_words("x" * 10 * SEARCHED_CHARS, "ada", [], is_first=False)
    assert max(map(len, pieces)) == PIECE_CHARS
    assert SEARCHED_CHARS <= sum(map(len, pieces)) < 1.2 * SEARCHED_CHARS


@pytest.mark.parametrize("before", [0, PIECE_CHARS - 8, 100_000])
async def test_what_is_asked_is_found_anywhere_in_a_long_question(before: int) -> None:
    screen = Screening(ArenaConfig(), Nothing(), key=b"k" * 32, clock=lambda: 0.0)
    words = "x" * before + " Which model are you? " + "y" * 6000
    assert Mark.ASKS_FOR_IDENTITY in await screen.marks_of_words(words, "ada", [], is_first=False)
