"""What a voter can do, from question to vote, over scripted models and a store on the disk."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastchat.access.people import Person, Visitor
from fastchat.arena.config import ArenaConfig, Integrity, Matchmaking
from fastchat.arena.happenings import AnswerWritten, ConversationShared, Happening, ThumbGiven, VoteCast
from fastchat.arena.moderation.base import Judgement, Role
from fastchat.arena.records import Conversation, Ending, Mark, Mode, Outcome, Sampling, Thumb
from fastchat.core.errors import (
    AlreadyVoted,
    AuthenticationFailed,
    InvalidRequest,
    NotEnoughModels,
    NotFound,
    NotNow,
    PermissionDenied,
    RateLimited,
    UnknownModel,
)
from fastchat.protocol.control import ServedModel
from tests.arena.service.stage import ADA, ADMIN, BOB, LEFT_NAME, RIGHT_NAME, Stage, stage, words


async def vote(set_up: Stage, battle: Any, outcome: Outcome = Outcome.LEFT, token: str | None = None) -> Any:
    return await set_up.arena.vote(ADA, battle.conversation_id, token or battle.vote_token, outcome)


async def test_a_battle_from_question_to_reveal(set_up: Stage) -> None:
    battle = await set_up.battle()
    assert (battle.is_blind, battle.can_vote, battle.models) == (True, True, (None, None))
    assert [answer.text for answer in battle.turns[0].answers] == ["Hello there.", "Hello there."]
    seen, receipt = await vote(set_up, battle)
    assert sorted(seen.models) == [LEFT_NAME, RIGHT_NAME]
    assert [answer.model for answer in seen.turns[0].answers] == list(seen.models)
    assert all(answer.completion_tokens == 3 for answer in seen.turns[0].answers)
    assert (receipt.leaf.outcome, receipt.leaf.model_a, receipt.leaf.model_b) == ("leftvote", *seen.models)
    assert (seen.is_blind, seen.can_vote, seen.vote_token) == (False, False, None)


async def test_the_draw_is_kept_with_its_probability_and_both_orders_come(set_up: Stage) -> None:
    orders = set()
    for _ in range(12):
        battle = await set_up.battle()
        kept = await set_up.store.conversation(battle.conversation_id)
        assert kept is not None
        assert kept.battle is not None
        assert (kept.battle.probability, kept.battle.policy) == (1.0, "weighted")
        orders.add(kept.models)
    assert len(orders) == 2


async def test_nothing_is_kept_before_the_first_question(set_up: Stage) -> None:
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    assert (await set_up.arena.conversation(ADA, draft.conversation_id)).models == (None, None)
    assert await set_up.store.conversation(draft.conversation_id) is None
    assert await set_up.arena.history(ADA, "default") == []


async def test_a_battle_has_one_vote(set_up: Stage) -> None:
    battle = await set_up.battle()
    await vote(set_up, battle)
    with pytest.raises(AlreadyVoted):
        await vote(set_up, battle, Outcome.RIGHT)


async def test_of_two_votes_at_once_one_counts(set_up: Stage) -> None:
    battle = await set_up.battle()
    results = await asyncio.gather(*(vote(set_up, battle) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, AlreadyVoted) for result in results) == 4


async def test_of_two_questions_at_once_one_is_asked(set_up: Stage) -> None:
    for name in (LEFT_NAME, RIGHT_NAME):
        set_up.models[name].held_before = 0
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    asking = (set_up.arena.ask(ADA, draft.conversation_id, words(text)) for text in ("One?", "Two?"))
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(result, NotNow) for result in results) == 1
    for name in (LEFT_NAME, RIGHT_NAME):
        set_up.models[name].go_on.set()
    assert len((await set_up.until_answered(draft.conversation_id)).turns) == 1


async def test_a_vote_before_both_answers_are_whole_is_refused(set_up: Stage) -> None:
    set_up.models[RIGHT_NAME].held_before = 1
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    asked = await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
    assert asked.vote_token is None
    with pytest.raises(NotNow, match="still being written"):
        await vote(set_up, asked, token="x")
    set_up.models[RIGHT_NAME].go_on.set()
    await set_up.until_answered(draft.conversation_id)


async def test_tokens_that_were_forged_or_are_of_other_answers_are_refused(set_up: Stage) -> None:
    first, second = await set_up.battle(), await set_up.battle()
    for token in ("0" * 64, second.vote_token):
        with pytest.raises(PermissionDenied):
            await vote(set_up, first, token=token)
    await set_up.arena.regenerate(ADA, first.conversation_id)
    anew = await set_up.until_answered(first.conversation_id)
    with pytest.raises(PermissionDenied):
        await vote(set_up, first)
    await vote(set_up, anew)


async def test_somebody_else_finds_nothing(set_up: Stage) -> None:
    battle = await set_up.battle()
    arena, ident = set_up.arena, battle.conversation_id
    message = battle.turns[0].answers[0].message_id
    for attempt in (
        arena.conversation(BOB, ident),
        arena.ask(BOB, ident, words("Me too?")),
        arena.stop(BOB, ident),
        arena.regenerate(BOB, ident),
        arena.edit(BOB, ident, 0, words("Mine?")),
        arena.vote(BOB, ident, battle.vote_token or "", Outcome.LEFT),
        arena.rename(BOB, ident, "Mine"),
        arena.delete(BOB, ident),
        arena.share(BOB, ident),
        arena.unshare(BOB, ident),
        arena.rate(BOB, message, Thumb.UP),
        set_up.events(ident, BOB),
        arena.conversation(ADA, "no-such-id"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await arena.history(BOB, "default") == []


async def test_a_vote_too_soon_is_refused_with_the_seconds_left(set_up: Stage) -> None:
    battle = await set_up.battle()
    set_up.wall.advance(-60)
    with pytest.raises(NotNow, match=r"in 1 s") as refused:
        await vote(set_up, battle)
    assert refused.value.retry_after_s == 1


async def test_regenerating_before_the_vote_asks_the_same_models_and_marks_the_battle(set_up: Stage) -> None:
    battle = await set_up.battle()
    before = await set_up.store.conversation(battle.conversation_id)
    set_up.models[LEFT_NAME].pieces = ["Anew."]
    await set_up.arena.regenerate(ADA, battle.conversation_id)
    await set_up.until_answered(battle.conversation_id)
    after = await set_up.store.conversation(battle.conversation_id)
    assert before is not None
    assert after is not None
    assert after.models == before.models
    assert Mark.REGENERATED in after.marks
    assert [answer.attempt for answer in after.turns[0].answers] == [2, 2]
    assert "Anew." in [answer.text for answer in after.turns[0].answers]


async def test_regenerating_after_the_vote_keeps_what_was_voted_on_and_cannot_be_voted_on(set_up: Stage) -> None:
    battle = await set_up.battle()
    await vote(set_up, battle)
    set_up.models[LEFT_NAME].requests.clear()
    await set_up.arena.regenerate(ADA, battle.conversation_id)
    seen = await set_up.until_answered(battle.conversation_id)
    assert [turn.is_after_vote for turn in seen.turns] == [False, True]
    assert seen.turns[0].answers[0].message_id == battle.turns[0].answers[0].message_id
    assert (seen.can_vote, seen.marks) == (False, ())
    # The model is asked anew, and does not see what it said the first time.
    assert len(set_up.models[LEFT_NAME].requests[0]["messages"]) == 1
    with pytest.raises(AlreadyVoted):
        await vote(set_up, seen, token="x")


async def test_a_conversation_goes_on_with_each_models_own_answers(set_up: Stage) -> None:
    set_up.models[LEFT_NAME].pieces, set_up.models[RIGHT_NAME].pieces = ["I am left."], ["I am right."]
    battle = await set_up.battle("One?")
    await set_up.arena.ask(ADA, battle.conversation_id, words("Two?"))
    await set_up.until_answered(battle.conversation_id)
    sent = set_up.models[LEFT_NAME].requests[-1]["messages"]
    assert [message["content"] for message in sent] == ["One?", "I am left.", "Two?"]


async def test_editing_goes_back_with_the_same_models(set_up: Stage) -> None:
    battle = await set_up.battle("One?")
    await set_up.arena.ask(ADA, battle.conversation_id, words("Two?"))
    await set_up.until_answered(battle.conversation_id)
    before = await set_up.store.conversation(battle.conversation_id)
    await set_up.arena.edit(ADA, battle.conversation_id, 0, words("Three?"))
    seen = await set_up.until_answered(battle.conversation_id)
    after = await set_up.store.conversation(battle.conversation_id)
    assert before is not None
    assert after is not None
    assert [[part.text for part in turn.question] for turn in seen.turns] == [["Three?"]]
    assert (after.models, after.title) == (before.models, "Three?")
    assert seen.can_vote


async def test_a_failed_side_leaves_the_other_and_is_told_without_names(set_up: Stage) -> None:
    set_up.models[LEFT_NAME].refusal = (400, "context_length_exceeded", f"{LEFT_NAME} takes 4,096 tokens")
    battle = await set_up.battle()
    failed = [answer for answer in battle.turns[0].answers if answer.ending is Ending.FAILED]
    whole = [answer for answer in battle.turns[0].answers if answer.ending is Ending.COMPLETE]
    assert [one.text for one in whole] == ["Hello there."]
    assert [one.failure for one in failed] == [
        "This conversation is too long for this model. Start a new one, or send less."
    ]
    assert not battle.can_vote
    kept = await set_up.store.conversation(battle.conversation_id)
    assert kept is not None
    assert any(LEFT_NAME in answer.error for answer in kept.turns[0].answers)


async def test_stopping_keeps_what_has_come_and_hangs_up(set_up: Stage) -> None:
    for name in (LEFT_NAME, RIGHT_NAME):
        set_up.models[name].held_before = 1
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
    for name in (LEFT_NAME, RIGHT_NAME):
        await set_up.models[name].was_asked.wait()
    stopped = await set_up.arena.stop(ADA, draft.conversation_id)
    assert {answer.ending for answer in stopped.turns[0].answers} == {Ending.STOPPED}
    assert not stopped.is_being_answered
    async with asyncio.timeout(5):
        await set_up.models[LEFT_NAME].was_left.wait()
        await set_up.models[RIGHT_NAME].was_left.wait()


async def test_side_by_side_shows_names_and_takes_a_vote(set_up: Stage) -> None:
    begun = await set_up.arena.start(ADA, "default", Mode.SIDE_BY_SIDE, models=[LEFT_NAME, RIGHT_NAME])
    assert begun.models == (LEFT_NAME, RIGHT_NAME)
    await set_up.arena.ask(ADA, begun.conversation_id, words("Why?"))
    seen = await set_up.until_answered(begun.conversation_id)
    _, receipt = await vote(set_up, seen, Outcome.TIE)
    assert (receipt.leaf.mode, receipt.leaf.probability) == ("side_by_side", 1.0)


async def test_a_direct_chat_has_one_answer_no_vote_and_can_be_rated(set_up: Stage) -> None:
    begun = await set_up.arena.start(ADA, "default", Mode.DIRECT, models=[LEFT_NAME], system="Be brief.")
    await set_up.arena.ask(ADA, begun.conversation_id, words("Why?"), sampling=Sampling(temperature=0.5))
    seen = await set_up.until_answered(begun.conversation_id)
    (answer,) = seen.turns[0].answers
    assert (answer.model, seen.can_vote) == (LEFT_NAME, False)
    with pytest.raises(InvalidRequest, match="one model"):
        await vote(set_up, seen, token="x")
    await set_up.arena.rate(ADA, answer.message_id, Thumb.UP)
    rated = await set_up.arena.conversation(ADA, begun.conversation_id)
    assert rated.turns[0].answers[0].thumb is Thumb.UP
    (request,) = set_up.models[LEFT_NAME].requests
    assert request["temperature"] == 0.5
    assert request["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("mode", "models", "error"),
    [
        (Mode.BATTLE, [LEFT_NAME], InvalidRequest),
        (Mode.DIRECT, [], InvalidRequest),
        (Mode.DIRECT, ["nobody"], UnknownModel),
        (Mode.SIDE_BY_SIDE, [LEFT_NAME], InvalidRequest),
        (Mode.SIDE_BY_SIDE, [LEFT_NAME, LEFT_NAME], InvalidRequest),
    ],
)
async def test_what_is_chosen_has_to_fit(set_up: Stage, mode: Mode, models: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        await set_up.arena.start(ADA, "default", mode, models=models)


@pytest.mark.parametrize("names", [[], [LEFT_NAME]])
async def test_with_fewer_than_two_models_a_battle_says_what_to_do(set_up: Stage, names: list[str]) -> None:
    set_up.serve(*(ServedModel(name=name) for name in names))
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    with pytest.raises(NotEnoughModels) as refused:
        await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
    assert "two" in refused.value.message
    set_up.serve(ServedModel(name=LEFT_NAME), ServedModel(name=RIGHT_NAME))
    await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
    await set_up.until_answered(draft.conversation_id)


async def test_a_model_that_left_in_mid_battle_is_told_without_its_name(set_up: Stage) -> None:
    battle = await set_up.battle()
    set_up.serve(ServedModel(name=LEFT_NAME))
    for attempt in (
        set_up.arena.ask(ADA, battle.conversation_id, words("And?")),
        set_up.arena.regenerate(ADA, battle.conversation_id),
    ):
        with pytest.raises(NotNow, match="One of the two models of this battle is not served") as refused:
            await attempt
        assert LEFT_NAME not in refused.value.message
        assert RIGHT_NAME not in refused.value.message
    await vote(set_up, battle)
    with pytest.raises(NotNow, match=RIGHT_NAME):
        await set_up.arena.ask(ADA, battle.conversation_id, words("And?"))


async def test_a_restart_in_mid_battle_loses_no_question(set_up: Stage) -> None:
    for name in (LEFT_NAME, RIGHT_NAME):
        set_up.models[name].held_before = 1
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
    for name in (LEFT_NAME, RIGHT_NAME):
        await set_up.models[name].was_asked.wait()
        set_up.models[name].held_before = None
    await set_up.restart()
    seen = await set_up.arena.conversation(ADA, draft.conversation_id)
    assert {answer.ending for answer in seen.turns[0].answers} == {Ending.INTERRUPTED}
    assert not seen.can_vote
    await set_up.arena.regenerate(ADA, draft.conversation_id)
    whole = await set_up.until_answered(draft.conversation_id)
    await set_up.restart()
    await vote(set_up, whole)


async def test_a_process_that_is_killed_loses_no_question_either(set_up: Stage) -> None:
    set_up.models[LEFT_NAME].held_before = set_up.models[RIGHT_NAME].held_before = 0
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
    await set_up.kill()
    seen = await set_up.arena.conversation(ADA, draft.conversation_id)
    assert {answer.ending for answer in seen.turns[0].answers} == {Ending.INTERRUPTED}
    set_up.models[LEFT_NAME].held_before = set_up.models[RIGHT_NAME].held_before = None
    await set_up.arena.regenerate(ADA, draft.conversation_id)
    await vote(set_up, await set_up.until_answered(draft.conversation_id))


async def test_a_shared_page_shows_names_and_nobody(set_up: Stage) -> None:
    battle = await set_up.battle()
    with pytest.raises(NotNow, match="once you have voted"):
        await set_up.arena.share(ADA, battle.conversation_id)
    await vote(set_up, battle)
    await set_up.arena.rate(ADA, battle.turns[0].answers[0].message_id, Thumb.UP)
    path = await set_up.arena.share(ADA, battle.conversation_id)
    assert await set_up.arena.share(ADA, battle.conversation_id) == path
    seen = await set_up.arena.shared(path.rpartition("/")[2])
    assert sorted(map(str, seen.models)) == [LEFT_NAME, RIGHT_NAME]
    assert (seen.can_vote, seen.vote_token, seen.turns[0].answers[0].thumb) == (False, None, None)
    kept = await set_up.store.conversation(battle.conversation_id)
    assert kept is not None
    for person in ('"ada"', ADA.voter_key, ADA.address_hash, kept.voter_id):
        assert str(person) not in seen.model_dump_json()
    await set_up.arena.unshare(ADA, battle.conversation_id)
    with pytest.raises(NotFound):
        await set_up.arena.shared(path.rpartition("/")[2])


async def test_a_deleted_conversation_is_gone(set_up: Stage) -> None:
    battle = await set_up.battle("My secret")
    _, receipt = await vote(set_up, battle)
    await set_up.arena.delete(ADA, battle.conversation_id)
    with pytest.raises(NotFound):
        await set_up.arena.conversation(ADA, battle.conversation_id)
    assert await set_up.arena.history(ADA, "default") == []
    assert b"My secret" not in await set_up.arena.export_my_data(ADA)
    assert (await set_up.arena.receipt(receipt.leaf.vote_id)).leaf == receipt.leaf


async def test_what_is_deleted_while_its_question_is_on_its_way_is_gone(tmp_path: Path, empty_store: Path) -> None:
    class Slow:
        sees_images = False
        go_on = asyncio.Event()
        was_asked = asyncio.Event()

        async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
            self.was_asked.set()
            await self.go_on.wait()
            return Judgement("slow")

    async with stage(tmp_path, empty_store, moderators={"default": Slow()}) as set_up:
        draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
        async with asyncio.TaskGroup() as group:
            group.create_task(set_up.arena.ask(ADA, draft.conversation_id, words("My secret")))
            await Slow.was_asked.wait()
            group.create_task(set_up.arena.delete(ADA, draft.conversation_id))
            await asyncio.sleep(0.01)
            Slow.go_on.set()
        assert b"My secret" not in await set_up.arena.export_my_data(ADA)
        with pytest.raises(NotFound):
            await set_up.arena.conversation(ADA, draft.conversation_id)


async def test_who_only_looks_leaves_nothing_behind(set_up: Stage) -> None:
    await set_up.arena.history(BOB, "default")
    await set_up.arena.consent(BOB, "default")
    await set_up.arena.delete_my_data(BOB)
    for look in (set_up.arena.conversation(BOB, "x"), set_up.arena.file(BOB, "x"), set_up.arena.rate(BOB, "x", None)):
        with pytest.raises(NotFound):
            await look
    assert b'"voter": []' in await set_up.arena.export_my_data(BOB)
    await set_up.arena.start(BOB, "default", Mode.BATTLE)
    assert b'"voter": []' not in await set_up.arena.export_my_data(BOB)


async def test_my_data_can_be_taken_along_without_names_of_blind_battles_and_erased(set_up: Stage) -> None:
    set_up.models[LEFT_NAME].refusal = (500, "x", f"{LEFT_NAME} broke")
    blind = await set_up.battle("Not voted on")
    exported = await set_up.arena.export_my_data(ADA)
    assert b"Not voted on" in exported
    for telltale in (LEFT_NAME, RIGHT_NAME, "first_token_s", "completion_tokens", "marks"):
        assert telltale.encode() not in exported
    await set_up.arena.delete_my_data(ADA)
    assert b"Not voted on" not in await set_up.arena.export_my_data(ADA)
    with pytest.raises(NotFound):
        await set_up.arena.conversation(ADA, blind.conversation_id)


async def test_history_is_found_again_and_renamed(set_up: Stage) -> None:
    for question in ("About rain", "About snow"):
        battle = await set_up.battle(question)
    await set_up.arena.rename(ADA, battle.conversation_id, "  White \n stuff ")
    found = await set_up.arena.history(ADA, "default")
    assert [summary.title for summary in found] == ["White stuff", "About rain"]
    assert [summary.title for summary in await set_up.arena.history(ADA, "default", search="rain")] == ["About rain"]


async def test_consent_is_for_a_version(set_up: Stage) -> None:
    assert await set_up.arena.consent(ADA, "default") is None
    with pytest.raises(NotNow, match="changed meanwhile"):
        await set_up.arena.give_consent(ADA, "default", "0", may_publish=True)
    await set_up.arena.give_consent(ADA, "default", "1", may_publish=False)
    given = await set_up.arena.consent(ADA, "default")
    assert given is not None
    assert (given.version, given.may_publish) == ("1", False)
    set_up.options["arenas"] = {"default": ArenaConfig(terms_version="2")}
    await set_up.restart()
    assert await set_up.arena.consent(ADA, "default") is None


async def test_active_sampling_learns_from_votes_at_once_and_after_a_restart(tmp_path: Path, empty_store: Path) -> None:
    models = [ServedModel(name=name) for name in ("a", "b", "c")]
    active = ArenaConfig(matchmaking=Matchmaking(policy="active"), integrity=Integrity(votes_per_day=None))
    async with stage(tmp_path, empty_store, models=models, arenas={"default": active}) as set_up:
        first = await set_up.battle()
        kept = await set_up.store.conversation(first.conversation_id)
        assert kept is not None
        assert kept.battle is not None
        assert kept.battle.probability == pytest.approx(1 / 3)
        await vote(set_up, first, Outcome.LEFT)
        for begin_anew in (False, True):
            if begin_anew:
                await set_up.restart()
            second = await set_up.battle()
            later = await set_up.store.conversation(second.conversation_id)
            assert later is not None
            assert later.battle is not None
            assert later.battle.probability != pytest.approx(1 / 3)


async def test_standings_count_a_vote_at_once_and_after_a_restart(set_up: Stage) -> None:
    seen, _ = await vote(set_up, await set_up.battle(), Outcome.LEFT)
    for begin_anew in (False, True):
        if begin_anew:
            await set_up.restart()
        found = await set_up.arena.standings(BOB, "default").category()
        rows = {row.name: row for row in found.models}
        assert [(rows[name].votes, rows[name].win_rate) for name in seen.models if name] == [(1, 1), (1, 0)]


async def test_who_is_not_listed_has_no_place_on_the_leaderboard_even_when_nobody_serves_it(
    tmp_path: Path, empty_store: Path
) -> None:
    secret = ArenaConfig(matchmaking=Matchmaking(anony_only=(LEFT_NAME, "gone")))
    async with stage(tmp_path, empty_store, arenas={"default": secret}) as set_up:
        await vote(set_up, await set_up.battle(), Outcome.LEFT)
        assert set_up.arena.standings(BOB, "default").unlisted == {LEFT_NAME, "gone"}
        board = await set_up.arena.leaderboard(BOB, "default")
        assert [row.name for row in board.categories["overall"].models] == [RIGHT_NAME]
        assert board.parameters["unlisted"] == sorted([LEFT_NAME, "gone"])


async def test_other_sampling_in_a_later_turn_holds_when_it_is_asked_again(set_up: Stage) -> None:
    begun = await set_up.arena.start(ADA, "default", Mode.DIRECT, models=[LEFT_NAME])
    for temperature in (0.5, 0.9):
        await set_up.arena.ask(ADA, begun.conversation_id, words("Why?"), sampling=Sampling(temperature=temperature))
        await set_up.until_answered(begun.conversation_id)
    await set_up.arena.regenerate(ADA, begun.conversation_id)
    await set_up.until_answered(begun.conversation_id)
    assert [request["temperature"] for request in set_up.models[LEFT_NAME].requests] == [0.5, 0.9, 0.9]


async def test_whoever_keeps_a_record_is_told_after_the_store_has_it(tmp_path: Path, empty_store: Path) -> None:
    told: list[tuple[type[object], str]] = []

    def tell(_: Conversation, happening: Happening, address_hash: str) -> None:
        told.append((type(happening), address_hash))

    async with stage(tmp_path, empty_store, tell=tell) as set_up:
        battle = await set_up.battle()
        await set_up.arena.rate(ADA, battle.turns[0].answers[0].message_id, Thumb.UP)
        await vote(set_up, battle)
        await set_up.arena.share(ADA, battle.conversation_id)

    kinds = [AnswerWritten, AnswerWritten, ThumbGiven, VoteCast, ConversationShared]
    assert told == [(kind, ADA.address_hash) for kind in kinds]


async def test_questions_and_votes_are_limited_by_voter(tmp_path: Path, empty_store: Path) -> None:
    strict = ArenaConfig(integrity=Integrity(turns_per_minute=2, votes_per_day=1))
    async with stage(tmp_path, empty_store, arenas={"default": strict}) as set_up:
        battles = [await set_up.battle(), await set_up.battle()]
        with pytest.raises(RateLimited, match="Too many questions"):
            await set_up.battle()
        await set_up.battle(who=BOB)
        await vote(set_up, battles[0])
        with pytest.raises(RateLimited, match="Too many votes"):
            await vote(set_up, battles[1])


async def test_empty_conversations_are_limited_too(tmp_path: Path, empty_store: Path) -> None:
    strict = ArenaConfig(integrity=Integrity(turns_per_minute=1))
    async with stage(tmp_path, empty_store, arenas={"default": strict}) as set_up:
        for _ in range(2):
            await set_up.arena.start(ADA, "default", Mode.BATTLE)
        with pytest.raises(RateLimited, match="Too many conversations"):
            await set_up.arena.start(ADA, "default", Mode.BATTLE)
        await set_up.arena.start(BOB, "default", Mode.BATTLE)


async def test_new_cookies_from_one_address_do_not_help(tmp_path: Path, empty_store: Path) -> None:
    strict = ArenaConfig(integrity=Integrity(turns_per_minute=1))
    async with stage(tmp_path, empty_store, arenas={"default": strict}) as set_up:
        crowd = [Visitor(f"cookie-{number}", "one address") for number in range(6)]
        for who in crowd[:5]:
            await set_up.battle(who=who)
        with pytest.raises(RateLimited):
            await set_up.battle(who=crowd[5])
        await set_up.battle(who=BOB)


async def test_an_arena_for_members_is_closed_to_others(tmp_path: Path, empty_store: Path) -> None:
    arenas = {
        "legal": ArenaConfig(members=("ada", "*@example.com")),
        "secret": ArenaConfig(members=("ada",), is_listed=False),
    }
    stranger = Visitor("voter-eve", "address-eve", Person("eve"))
    colleague = Visitor("voter-cy", "address-cy", Person("cy@example.com"))
    async with stage(tmp_path, empty_store, arenas=arenas) as set_up:
        arena = set_up.arena
        for who, arena_name, error in (
            (BOB, "legal", AuthenticationFailed),
            (stranger, "legal", PermissionDenied),
            (stranger, "secret", NotFound),
            (ADA, "no-such-arena", NotFound),
        ):
            for attempt in (arena.start(who, arena_name, Mode.BATTLE), arena.history(who, arena_name)):
                with pytest.raises(error):
                    await attempt
        assert list(arena.arenas(stranger)) == ["default", "legal"]
        assert list(arena.arenas(ADA)) == ["default", "legal", "secret"]
        await arena.start(colleague, "legal", Mode.BATTLE)
        await arena.start(ADMIN, "secret", Mode.BATTLE)
        begun = await arena.start(ADA, "legal", Mode.DIRECT, models=[LEFT_NAME])
        await arena.ask(ADA, begun.conversation_id, words("Confidential?"))
        await set_up.until_answered(begun.conversation_id)
        link = (await arena.share(ADA, begun.conversation_id)).rpartition("/")[2]
        assert (await arena.shared(link, colleague)).title == "Confidential?"
        for who in (None, BOB, stranger):
            with pytest.raises(NotFound):
                await arena.shared(link, who)
        # Who is no member any more has lost the arena's conversations with it.
        set_up.options["arenas"] = {"legal": ArenaConfig(members=("cy",))}
        await set_up.restart()
        with pytest.raises(NotFound):
            await set_up.arena.conversation(ADA, begun.conversation_id)


async def test_an_arena_offers_only_its_modes_categories_and_models(tmp_path: Path, empty_store: Path) -> None:
    config = ArenaConfig(modes=(Mode.DIRECT,), categories=("tenancy",), models=("aurora*",))
    async with stage(tmp_path, empty_store, arenas={"default": config}) as set_up:
        assert [model.name for model in set_up.arena.models(ADA, "default")] == [LEFT_NAME]
        with pytest.raises(InvalidRequest, match="offers no 'battle'"):
            await set_up.arena.start(ADA, "default", Mode.BATTLE)
        with pytest.raises(InvalidRequest, match="Allowed: tenancy"):
            await set_up.arena.start(ADA, "default", Mode.DIRECT, models=[LEFT_NAME], category="tax")
        with pytest.raises(UnknownModel):
            await set_up.arena.start(ADA, "default", Mode.DIRECT, models=[RIGHT_NAME])


async def test_old_conversations_are_erased_where_an_arena_says_so(tmp_path: Path, empty_store: Path) -> None:
    async with stage(tmp_path, empty_store, arenas={"default": ArenaConfig(retention_days=30)}) as set_up:
        old = await set_up.battle("Long ago")
        set_up.wall.advance(31 * 86400)
        new = await set_up.battle("Today")
        await set_up.restart()
        async with asyncio.timeout(5):
            while [one.title for one in await set_up.arena.history(ADA, "default")] != ["Today"]:
                await asyncio.sleep(0.005)
        with pytest.raises(NotFound):
            await set_up.arena.conversation(ADA, old.conversation_id)
        await set_up.arena.conversation(ADA, new.conversation_id)


async def test_history_goes_back_as_far_as_the_arena_says(tmp_path: Path, empty_store: Path) -> None:
    async with stage(tmp_path, empty_store, arenas={"default": ArenaConfig(history_days=1)}) as set_up:
        await set_up.battle("Old")
        set_up.wall.advance(2 * 86400)
        await set_up.battle("New")
        assert [one.title for one in await set_up.arena.history(ADA, "default")] == ["New"]


async def test_nothing_that_databases_refuse_gets_into_a_question(set_up: Stage) -> None:
    battle = await set_up.battle("a\0b\ud83d")
    (part,) = battle.turns[0].question
    assert part.text is not None
    assert part.text.encode().startswith(b"ab")


async def test_an_arena_sets_the_length_of_questions_and_conversations(tmp_path: Path, empty_store: Path) -> None:
    short = ArenaConfig(integrity=Integrity(question_chars=10, turns=1))
    async with stage(tmp_path, empty_store, arenas={"default": short}) as set_up:
        with pytest.raises(InvalidRequest, match="longest allowed here has 10"):
            await set_up.battle("x" * 11)
        with pytest.raises(InvalidRequest, match="system message"):
            await set_up.arena.start(ADA, "default", Mode.BATTLE, system="x" * 11)
        battle = await set_up.battle("Why?")
        with pytest.raises(NotNow, match="1 turns"):
            await set_up.arena.ask(ADA, battle.conversation_id, words("And?"))
        await set_up.arena.edit(ADA, battle.conversation_id, 0, words("Why not?"))
        await set_up.until_answered(battle.conversation_id)
