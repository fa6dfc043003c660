"""What a browser may see."""

import re
from dataclasses import fields, replace

import pytest

from fastchat.arena.failures import line_of, words_for
from fastchat.arena.records import Answer, Battle, Conversation, Ending, Mark, Mode, Outcome, Side, TextPart, Turn, Vote
from fastchat.arena.views import AnswerView, ConversationView, shared_view_of, view_of
from fastchat.core.errors import ContextLengthExceeded, InvalidRequest, NoWorker, WorkerFailed

# Everything that could tell who answers says "secret", or is a number that no other field has.
ANSWERS = tuple(
    Answer(
        f"id-{side}",
        side,
        f"secret-{side}",
        "Because.",
        ending=Ending.COMPLETE,
        error="broke_off: secret words",
        started_at=100,
        first_token_s=7771.5,
        duration_s=7772.5,
        prompt_tokens=7773,
        completion_tokens=7774,
    )
    for side in Side
)
BATTLE = Conversation(
    "c",
    "default",
    Mode.BATTLE,
    "secret voter",
    ("secret-left", "secret-right"),
    100,
    100,
    turns=(Turn("q", 0, (TextPart(text="Why?"),), 100, ANSWERS),),
    battle=Battle("secret battle", "secret-left", "secret-right", 0.7775, "secret policy", 100),
    marks=frozenset({Mark.NAMES_ITSELF}),
)
VOTED = replace(BATTLE, vote=Vote("v", "secret battle", Outcome.TIE, 200), share_id="s")


def test_a_blind_battle_tells_nothing_of_its_models() -> None:
    seen = view_of(BATTLE, vote_token="token").model_dump_json()
    assert "secret" not in seen
    assert "777" not in seen
    assert "names_itself" not in seen


def test_after_the_vote_names_times_and_marks_are_seen() -> None:
    seen = view_of(VOTED)
    assert seen.models == ("secret-left", "secret-right")
    assert seen.marks == (Mark.NAMES_ITSELF,)
    answer = seen.turns[0].answers[0]
    assert (answer.model, answer.first_token_s, answer.completion_tokens) == ("secret-left", 7771.5, 7774)
    assert answer.tokens_per_s == 7773
    assert answer.failure.endswith("(secret words)")
    assert "secret voter" not in seen.model_dump_json()


def test_how_one_side_ended_is_not_told_before_the_other_has() -> None:
    left, right = ANSWERS
    half = replace(BATTLE, turns=(replace(BATTLE.turns[0], answers=(left, replace(right, ending=None, error=""))),))
    told = [(answer.ending, answer.failure) for answer in view_of(half).turns[0].answers]
    assert told == [(None, ""), (None, "")]
    named = view_of(replace(half, mode=Mode.SIDE_BY_SIDE)).turns[0].answers
    assert [answer.ending for answer in named] == [Ending.COMPLETE, None]


def test_fields_are_open_by_decision_only() -> None:
    """A field that is added to a view must be thought about here: may it be seen while a battle is blind?"""
    seen = view_of(BATTLE, vote_token="token")
    closed = {name for name, value in seen.turns[0].answers[0] if value is None}
    assert closed == {"thumb", "model", "first_token_s", "tokens_per_s", "completion_tokens"}
    assert set(AnswerView.model_fields) - closed == {"message_id", "side", "text", "reasoning", "ending", "failure"}
    assert set(ConversationView.model_fields) == {
        "conversation_id",
        "arena",
        "mode",
        "title",
        "is_blind",
        "models",
        "turns",
        "is_being_answered",
        "can_vote",
        "vote_token",
        "vote",
        "share_path",
        "created_at",
        "updated_at",
        "marks",
        "system",  # what this voter wrote
        "sampling",
    }
    assert {field.name for field in fields(Answer)} == {
        *("message_id", "side", "model", "text", "reasoning", "ending", "error", "attempt", "started_at"),
        *("first_token_s", "duration_s", "prompt_tokens", "completion_tokens", "thumb"),
    }


def test_a_shared_page_has_nothing_to_do_and_nobody_on_it() -> None:
    seen = shared_view_of(VOTED)
    assert (seen.can_vote, seen.vote_token, seen.marks) == (False, None, ())
    assert seen.vote is not None
    assert seen.vote.outcome is Outcome.TIE
    assert "secret voter" not in seen.model_dump_json()
    told = replace(VOTED, system="I am Ada.")
    assert view_of(told).system == "I am Ada."
    assert "Ada" not in shared_view_of(told).model_dump_json()


@pytest.mark.parametrize(
    "error",
    [
        ContextLengthExceeded(5000, 4096),
        InvalidRequest("secret-7b does not like this"),
        NoWorker("nobody serves secret-7b"),
        WorkerFailed("secret-7b: Secret Labs says overloaded_error"),
    ],
)
def test_an_error_says_the_same_whoever_it_is_of(error: Exception) -> None:
    line = line_of(error)  # type: ignore[arg-type]
    blind = words_for(line, is_blind=True)
    assert blind
    assert not re.search(r"secret|\d", blind, re.IGNORECASE)
    assert words_for(line, is_blind=False) == f"{blind} ({error})"


def test_a_line_of_an_importer_is_told_to_those_who_may_know() -> None:
    assert words_for("", is_blind=True) == ""
    assert words_for("secret: NETWORK ERROR", is_blind=False) == "secret: NETWORK ERROR"
    assert "secret" not in words_for("secret: NETWORK ERROR", is_blind=True)
