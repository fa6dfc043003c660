"""The rules by themselves."""

from dataclasses import replace

import pytest

from fastchat.arena import battles, tokens
from fastchat.arena.config import Integrity
from fastchat.arena.records import (
    Answer,
    Battle,
    Conversation,
    Ending,
    FilePart,
    Mark,
    Mode,
    Outcome,
    Side,
    TextPart,
    Turn,
    Vote,
)
from fastchat.core.errors import AlreadyVoted, InvalidRequest, NotNow, PermissionDenied

RULES = Integrity(dwell_s=2, turns=2, question_chars=10)
WORDS = (TextPart(text="Why?"),)
KEY = b"k" * 32


def turn(number: int = 0, *endings: Ending | None, is_after_vote: bool = False) -> Turn:
    answers = tuple(
        Answer(
            f"answer-{number}-{side}", side, f"model-{side}", "Because.", ending=ending, started_at=100, duration_s=5
        )
        for side, ending in zip(Side, endings or (Ending.COMPLETE, Ending.COMPLETE), strict=False)
    )
    return Turn(f"question-{number}", number, WORDS, 100, answers, is_after_vote)


def battle(*turns: Turn, mode: Mode = Mode.BATTLE, is_voted: bool = False) -> Conversation:
    drawn = Battle("battle", "model-left", "model-right", 0.5, "weighted", 100)
    vote = Vote("vote", "battle", Outcome.TIE, 200) if is_voted else None
    models = ("model-left", "model-right")
    return Conversation("c", "default", mode, "ada", models, 100, 100, turns=turns, battle=drawn, vote=vote)


WHOLE = battle(turn())
UNANSWERED = battle(turn(0, None, Ending.COMPLETE))
VOTED = battle(turn(), is_voted=True)


def test_names_are_hidden_in_a_battle_until_its_vote() -> None:
    assert WHOLE.is_blind
    assert not VOTED.is_blind
    assert not battle(turn(), mode=Mode.SIDE_BY_SIDE).is_blind


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_question_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        battles.check_question([TextPart(text=text)], RULES)


def test_a_question_may_be_a_file_alone() -> None:
    battles.check_question([FilePart(type="image", file_id="f", media_type="image/png")], RULES)


def test_a_question_that_is_too_long_is_refused_and_says_how_long_it_may_be() -> None:
    battles.check_question([TextPart(text="x" * 10)], RULES)
    with pytest.raises(InvalidRequest, match="11 characters; the longest allowed here has 10"):
        battles.check_question([TextPart(text="x" * 11)], RULES)


def test_one_question_at_a_time_and_no_more_than_the_turns_there_are() -> None:
    battles.check_may_ask(battle(), RULES)
    battles.check_may_ask(WHOLE, RULES)
    battles.check_may_ask(VOTED, RULES)
    with pytest.raises(NotNow, match="still being written"):
        battles.check_may_ask(UNANSWERED, RULES)
    with pytest.raises(NotNow, match="2 turns"):
        battles.check_may_ask(battle(turn(0), turn(1)), RULES)


def test_a_vote_needs_two_whole_answers() -> None:
    for conversation, words in (
        (battle(), "Ask something first"),
        (UNANSWERED, "still being written"),
        (battle(turn(0, Ending.COMPLETE, Ending.FAILED)), "incomplete"),
        (battle(turn(0, Ending.STOPPED, Ending.COMPLETE)), "incomplete"),
        (battle(turn(0, Ending.INTERRUPTED, Ending.INTERRUPTED)), "incomplete"),
    ):
        assert not battles.can_vote(conversation)
        with pytest.raises(NotNow, match=words):
            battles.check_may_vote(conversation, RULES, now=900)
    cut_off = battle(turn(0, Ending.CUT_OFF, Ending.COMPLETE))
    assert battles.can_vote(cut_off)
    assert battles.check_may_vote(cut_off, RULES, now=900) == 795


def test_a_vote_waits_until_the_answers_could_be_read_and_says_how_long() -> None:
    with pytest.raises(NotNow, match="in 2 s") as refused:
        battles.check_may_vote(WHOLE, RULES, now=105.1)
    assert refused.value.retry_after_s == 2
    assert battles.check_may_vote(WHOLE, RULES, now=107.5) == 2.5


def test_the_time_to_read_begins_with_the_end_of_the_slower_answer() -> None:
    quick, slow = WHOLE.turns[0].answers
    conversation = battles.answered(WHOLE, (quick, replace(slow, duration_s=50)))
    with pytest.raises(NotNow):
        battles.check_may_vote(conversation, RULES, now=151)
    assert battles.check_may_vote(conversation, RULES, now=153) == 3


def test_a_battle_has_one_vote_and_a_chat_none() -> None:
    with pytest.raises(AlreadyVoted):
        battles.check_may_vote(VOTED, RULES, now=900)
    chat = battle(turn(0, Ending.COMPLETE), mode=Mode.DIRECT)
    assert not battles.can_vote(chat)
    with pytest.raises(InvalidRequest, match="one model"):
        battles.check_may_vote(chat, RULES, now=900)


def test_what_was_asked_after_the_vote_cannot_be_voted_on_and_marks_nothing() -> None:
    later = battles.asked(VOTED, turn(1))
    assert later.turns[1].is_after_vote
    assert not battles.can_vote(later)
    assert battles.marked(later, frozenset({Mark.NAMES_ITSELF})).marks == frozenset()


def test_regenerating_before_the_vote_marks_the_battle() -> None:
    battles.check_may_regenerate(WHOLE, RULES)
    assert battles.regenerated(WHOLE, turn().answers, now=300).marks == {Mark.REGENERATED}


def test_what_was_voted_on_stays() -> None:
    assert battles.was_judged(VOTED)
    assert not battles.was_judged(WHOLE)
    assert not battles.was_judged(battles.asked(VOTED, turn(1)))
    full = battle(turn(0), turn(1), is_voted=True)
    with pytest.raises(NotNow, match="2 turns"):
        battles.check_may_regenerate(full, RULES)


def test_nothing_is_regenerated_before_or_while_there_is_an_answer() -> None:
    with pytest.raises(NotNow, match="no answer yet"):
        battles.check_may_regenerate(battle(), RULES)
    with pytest.raises(NotNow, match="still being written"):
        battles.check_may_regenerate(UNANSWERED, RULES)


def test_a_question_is_edited_before_the_vote_only() -> None:
    battles.check_may_edit(WHOLE, 0)
    with pytest.raises(NotNow, match="voted on"):
        battles.check_may_edit(VOTED, 0)
    with pytest.raises(NotNow, match="still being written"):
        battles.check_may_edit(UNANSWERED, 0)
    for number in (-1, 1):
        with pytest.raises(InvalidRequest, match="There is no turn"):
            battles.check_may_edit(WHOLE, number)


def test_going_back_keeps_models_and_marks() -> None:
    long = replace(battle(turn(0), turn(1)), marks=frozenset({Mark.NAMES_ITSELF}), title="Why?")
    back = battles.taken_back(long, 1)
    assert [one.number for one in back.turns] == [0]
    assert (back.models, back.marks, back.title) == (long.models, {Mark.NAMES_ITSELF, Mark.EDITED}, "Why?")
    assert battles.taken_back(long, 0).title == ""
    assert battles.taken_back(replace(long, title="Mine"), 0).title == "Mine"


def test_going_on_behind_an_answer_that_failed_is_marked() -> None:
    failed = Ending.FAILED, Ending.COMPLETE
    assert battles.asked(battle(turn(0, *failed)), turn(1)).marks == {Mark.UNFINISHED}
    assert battles.asked(battle(turn(0)), turn(1)).marks == frozenset()
    late = battle(turn(0), turn(1, *failed, is_after_vote=True), is_voted=True)
    assert battles.asked(late, turn(2)).marks == frozenset()


def test_a_battle_is_shared_after_its_vote() -> None:
    battles.check_may_share(VOTED)
    with pytest.raises(NotNow, match="once you have voted"):
        battles.check_may_share(WHOLE)
    with pytest.raises(NotNow, match="nothing to share"):
        battles.check_may_share(battle(mode=Mode.SIDE_BY_SIDE))


def test_a_title_is_made_of_the_question_alone() -> None:
    assert battles.asked(battle(), turn()).title == "Why?"
    assert battles.title_of([TextPart(text=" a\n b  ")]) == "a b"
    assert battles.title_of([TextPart(text="x" * 200)]) == "x" * 79 + "…"
    photo = FilePart(type="image", file_id="f", media_type="image/png", name="cat.png")
    assert battles.title_of([photo]) == "cat.png"
    pdf = FilePart(type="file", file_id="f", media_type="application/pdf", text="secret words")
    assert battles.title_of([pdf, TextPart(text="Sum up")]) == "Sum up"


@pytest.mark.parametrize(
    "other",
    [
        replace(WHOLE, voter_id="bob"),
        battle(turn(1)),
        replace(WHOLE, battle=Battle("another", "model-left", "model-right", 0.5, "weighted", 100)),
    ],
)
def test_a_token_is_for_one_voter_one_battle_and_these_answers(other: Conversation) -> None:
    token = tokens.vote_token(KEY, WHOLE)
    tokens.check_token(KEY, WHOLE, token)
    with pytest.raises(PermissionDenied):
        tokens.check_token(KEY, other, token)


@pytest.mark.parametrize("forged", ["", "x", "ä" * 64, "0" * 64])
def test_a_forged_token_is_refused(forged: str) -> None:
    with pytest.raises(PermissionDenied, match="Load the conversation again"):
        tokens.check_token(KEY, WHOLE, forged)
    with pytest.raises(PermissionDenied):
        tokens.check_token(KEY, WHOLE, tokens.vote_token(b"another key", WHOLE))
