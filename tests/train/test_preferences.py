"""Votes → what is learned from them."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.train.preference_rules import Choice, is_held_out
from fastchat.train.preferences import EARLIER, NAMES_KNOWN, LeftOut, Selection, preference, rated, select
from fastchat.train.voted_battles import PICTURES, SAME, UNFINISHED, UNLIKE, VotedBattle, compared
from tests.train.battles import battle, talk

ALL = Choice(most_times_longer=None, most_per_voter=None)


def chosen(battles: Iterable[VotedBattle], choice: Choice = ALL, **more: Any) -> Selection:
    return select(battles, choice, **({"held_out": 0, "seed": 0} | more))


def left_out(battles: list[VotedBattle], choice: Choice = ALL, **more: Any) -> dict[str, int]:
    return {one.why: one.votes for one in chosen(battles, choice, **more).report.left_out}


def kept(battles: list[VotedBattle], choice: Choice = ALL, seed: int = 0) -> list[str]:
    return [one.battle.vote_id for one in chosen(battles, choice, seed=seed).train]


def test_what_both_begin_with_is_the_prompt_and_the_winners_rest_is_chosen() -> None:
    left = talk("Hi", "Hello.", "And now?", "This.", "Why?", "So.")
    right = talk("Hi", "Hello.", "And now?", "That.", "Why?", "Because.")
    found = preference(compared(VotedBattle("v", "m", "n", "b", left, right)))
    assert found.prompt == left[:3]
    assert (found.chosen, found.rejected) == (right[3:], left[3:])
    assert found.votes == ("v",)


@pytest.mark.parametrize(
    ("left", "right", "why"),
    [
        (talk("Hi", "One."), talk("Hello", "Two."), UNLIKE),  # not a common word
        (talk("Hi", "One.", "More", "A"), talk("Hi", "Two.", "Less", "B"), UNLIKE),  # other follow-up questions
        (talk("Hi", "One."), talk("Hi"), UNFINISHED),
        (talk("Hi", "One.", "More"), talk("Hi", "Two.", "More"), UNFINISHED),
        (talk("Hi", " "), talk("Hi", "Two."), UNFINISHED),
        (talk("Hi", "One."), talk("Hi", "One."), SAME),
        ([{"role": "user", "content": [{"type": "image_url"}]}], talk("Hi", "One."), PICTURES),
        (talk("Hi", "Hello.", "Ho", "One."), talk("Hi", "Hello."), UNLIKE),
    ],
)
def test_what_cannot_be_compared_is_left_out_with_its_reason(left: Any, right: Any, why: str) -> None:
    assert left_out([VotedBattle("v", "m", "n", "a", left, right)]) == {why: 1}


def test_votes_of_voters_who_knew_the_names_do_not_count() -> None:
    battles = [battle("1", "Hi", "A", "B", is_blind=False), battle("2", "Ho", "A", "B")]
    assert left_out(battles) == {NAMES_KNOWN: 1}
    assert kept(battles, Choice(blind_only=False)) == ["1", "2"]


def test_of_votes_on_one_conversation_the_last_turns_counts() -> None:
    first = battle("first", "Hi", "A", "B", conversation_id="c")
    later = VotedBattle("later", "left", "right", "b", talk("Hi", "A", "?", "C"), talk("Hi", "B", "?", "D"), "c")
    assert kept([later, first]) == ["later"]
    assert left_out([later, first]) == {EARLIER: 1}


def test_ties_teach_kto_and_not_dpo() -> None:
    battles = [
        battle("1", "one", "A", "B", "a"),
        battle("2", "two", "A", "B", "b"),
        battle("3", "three", "A", "B", "tie"),
        battle("4", "four", "A", "B", "both_bad"),
    ]
    assert left_out(battles) == {"neither was preferred": 2}
    both = [rated(one) for one in chosen(battles, with_ties=True).train]
    assert [(a.is_wanted, b.is_wanted) for a, b in both] == [(True, False), (False, True), (True, True), (False, False)]
    assert both[1][1].completion == talk("two", "B")[1:]


def test_filters_by_model() -> None:
    battles = [
        battle("1", "one", "A", "B", "a", model_a="x", model_b="y"),
        battle("2", "two", "A", "B", "b", model_a="x", model_b="z"),
        battle("3", "three", "A", "B", "a", model_a="y", model_b="z"),
    ]
    assert kept(battles, ALL.model_copy(update={"models": ("x",)})) == ["1", "2"]
    assert kept(battles, ALL.model_copy(update={"winner": "z"})) == ["2"]
    assert kept(battles, ALL.model_copy(update={"loser": "z"})) == ["3"]


def test_much_longer_answers_are_left_out_whichever_won() -> None:
    choice = Choice(most_times_longer=2.5)
    battles = [
        battle("even", "one", "1" * 25, "1" * 10),
        battle("long", "two", "1" * 26, "1" * 10),
        battle("short", "three", "1" * 10, "1" * 26),
        battle("tie", "four", "1" * 10, "1" * 26, "tie"),  # which says nothing of lengths
    ]
    assert [one.battle.vote_id for one in chosen(battles, choice, with_ties=True).train] == ["even", "tie"]


@given(st.permutations(range(12)), st.integers(1, 5))
def test_a_voter_counts_up_to_the_cap_and_the_order_does_not_matter(order: list[int], cap: int) -> None:
    battles = [battle(str(n), f"question {n}", "A", "B", voter="keen" if n < 9 else None) for n in range(12)]
    choice = Choice(most_per_voter=cap)
    found = kept([battles[n] for n in order], choice)
    assert len(found) == cap + 3  # of voters who are not known, all
    assert set(found) == set(kept(battles, choice))


def test_another_seed_draws_other_votes() -> None:
    battles = [battle(str(n), f"question {n}", "A", "B", voter="keen") for n in range(20)]
    first, second = (set(kept(battles, Choice(most_per_voter=5), seed)) for seed in (0, 1))
    assert first != second


def test_the_same_prompt_counts_once_for_two_models_on_either_side() -> None:
    battles = [
        battle("1", "Say  HI", "A", "B"),
        battle("2", "say hi", "C", "D", model_a="right", model_b="left"),
        battle("3", "say hi", "C", "D", model_a="other"),
        battle("4", "say hi - not", "C", "D"),
    ]
    found = kept(battles)
    assert len(found) == 3
    assert {"3", "4"} < set(found)


_QUESTIONS = st.text(st.sampled_from("abcX ?!.,\n"), min_size=1, max_size=6)


@given(st.lists(_QUESTIONS, max_size=40), st.floats(0, 0.9), st.integers(0, 3))
def test_no_question_that_is_held_out_is_ever_trained_on(questions: list[str], share: float, seed: int) -> None:
    """However it is written, and whoever answers it."""
    battles = [battle(str(n), text, "A", "B", model_a=f"m{n % 3}") for n, text in enumerate(questions)]
    train, held_out, report = chosen(battles, Choice(), held_out=share, seed=seed)

    def asked(side: Any) -> set[str]:
        words = (re.findall(r"\w+", one.prompt[0]["content"].lower()) for one in side)
        return {" ".join(found) for found in words if found}

    assert not asked(train) & asked(held_out)
    assert report.votes == report.trained + report.held_out + sum(one.votes for one in report.left_out)


def test_follow_ups_stand_on_the_side_of_their_first_question() -> None:
    questions = [f"question {n}" for n in range(200)]
    sides = [is_held_out(talk(text), 0.2) for text in questions]
    assert 20 < sum(sides) < 60
    assert sides == [is_held_out(talk(text, "Well.", "Go on"), 0.2) for text in questions]


def test_the_report_counts_what_others_left_out_before() -> None:
    report = chosen([battle("1", "Hi", "A", "B")], left_before=[LeftOut("flagged", 2)]).report
    assert (report.votes, report.trained, report.wins) == (3, 1, {"left": 1})
    assert report.as_json()["left_out"] == ({"why": "flagged", "votes": 2},)
