"""Rules one after the other, and the waterfall they leave."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fastchat.arena.cleaning import pairings, texts
from fastchat.arena.cleaning.choosing import CleaningOptions, read_banned, rules_for
from fastchat.arena.cleaning.quarantine import anomalies_of, set_aside, suspected
from fastchat.arena.cleaning.renames import renamed, renames
from fastchat.arena.cleaning.rules import clean, required
from fastchat.arena.leaderboard.votes import VoteTable, table
from fastchat.arena.records import Mark
from fastchat.core.errors import SetupError
from fastchat.ranking.anomalies import Kind
from tests.arena.cleaning.votes import said, talk, votes
from tests.ranking.crowds import HONEST, crowd


def test_the_waterfall_tells_what_each_rule_was_given_and_dropped() -> None:
    given = votes(model_a=["a", "a", "c", ""], model_b=["b", "a", "b", "b"])

    cleaned = clean(given, [pairings.missing_names(), pairings.self_play(), pairings.excluded_models(["c"])])

    assert [(step.rule, step.given, step.dropped, step.kept) for step in cleaned.steps] == [
        ("missing names", 4, 1, 3),
        ("self-play", 3, 1, 2),
        ("excluded models", 2, 1, 1),
    ]
    assert cleaned.table.models == ("a", "b")
    assert cleaned.steps[0].why == "one of the models has no name"


def test_a_rule_that_cannot_be_applied_says_so() -> None:
    step = clean(votes(2), [pairings.anonymous_only()]).steps[0]
    assert (step.dropped, step.why) == (0, "not applied: the votes have no column anony")


def test_a_rule_that_was_asked_for_has_to_be_possible() -> None:
    with pytest.raises(SetupError, match="'too short', the votes need the column conv_a and conv_b"):
        clean(votes(2), [required(texts.too_short(3))])


def test_a_second_vote_does_not_stand_in_for_a_first_one_that_was_dropped() -> None:
    """The names were told after the first one."""
    twice = votes(question_id=["x", "x"], marks=[["names_itself"], []])
    assert len(clean(twice, rules_for(CleaningOptions())).table) == 0


def test_the_standard_leaves_good_votes_alone() -> None:
    good = said("It is scattered.", "Rayleigh found it.")
    cleaned = clean(good, rules_for(CleaningOptions()))

    assert len(cleaned.table) == 2
    assert [step.rule for step in cleaned.steps] == [
        "repeated",
        "missing names",
        "self-play",
        "missing answers",
        "unfinished",
        "errors",
        "marked names itself",
        "names itself",
    ]


def test_what_was_cleaned_stays_as_it_is() -> None:
    options = CleaningOptions(without_refusals=True, least_characters=3, daily_votes=2, anonymous_only=True)
    given = votes(
        question_id=["x", "x", "y", "z", "u", "v"],
        voter=["v"] * 6,
        tstamp=[float(number) for number in range(6)],
        anony=[True, True, True, False, True, True],
        conv_a=[talk("Why?", "I am Claude.")] + [talk("Why?", "So.")] * 5,
        conv_b=[talk("Why?", "So.")] * 6,
    )

    once = clean(given, rules_for(options)).table
    twice = clean(once, rules_for(options))

    assert once.frame["question_id"].to_list() == ["y", "u"]
    assert [step.dropped for step in twice.steps] == [0] * len(twice.steps)
    assert twice.table.frame.equals(once.frame)


def test_every_option_is_a_rule() -> None:
    options = CleaningOptions(
        anonymous_only=True,
        identity="words",
        without_marks=(Mark.EDITED,),
        without_refusals=True,
        least_characters=3,
        languages=("en",),
        excluded_models=("x",),
        banned_voters=("v",),
        least_dwell_s=1,
        daily_votes=5,
        duplicates_quantile=0.9,
    )
    standard = [rule.name for rule in rules_for(CleaningOptions())]

    asked_for = [rule.name for rule in rules_for(options) if rule.is_required]

    assert asked_for == [
        "identity words",
        "not anonymous",
        "marked edited",
        "refused",
        "too short",
        "other languages",
        "excluded models",
        "banned",
        "hasty",
        "daily cap",
        "duplicates",
    ]
    assert not {*asked_for} & {*standard}
    assert "banned_voters" not in options.model_dump(mode="json")
    json.dumps(options.model_dump(mode="json"))


def test_models_are_renamed_as_of_their_time() -> None:
    at = 1687849200.0
    given = votes(
        model_a=["gpt-4", "gpt-4", "bard", "claude-v1"],
        model_b=["vicuna-13b"] * 4,
        tstamp=[at, at + 1, at, None],
    )

    new = renamed(given, renames())

    assert new.frame["model_a"].to_list() == ["gpt-4-0314", "gpt-4-0613", "palm-2", "claude-1"]
    assert new.models == ("claude-1", "gpt-4-0314", "gpt-4-0613", "palm-2", "vicuna-13b")


def test_without_times_a_name_that_depends_on_them_stays() -> None:
    new = renamed(votes(model_a=["gpt-4", "bard"], model_b=["b", "b"]), renames())
    assert new.frame["model_a"].to_list() == ["gpt-4", "palm-2"]


def test_own_renames(tmp_path: Path) -> None:
    file = tmp_path / "names.toml"
    file.write_text('rename = [{ from = "a", to = "z" }]')
    assert renamed(votes(), renames(file)).models == ("b", "z")
    file.write_text("rename = 3")
    with pytest.raises(SetupError, match="is no table of renames"):
        renames(file)
    with pytest.raises(SetupError, match="cannot be read"):
        renames(tmp_path / "missing.toml")


@pytest.mark.parametrize("text", ['["198.51.100.7", "v"]', "198.51.100.7\n\nv\n"])
def test_banned_voters_are_read_from_a_list(tmp_path: Path, text: str) -> None:
    file = tmp_path / "banned"
    file.write_text(text)
    assert read_banned(file) == ("198.51.100.7", "v")


@pytest.mark.parametrize("text", ["[1]", '{"a": 1}', '["a"'])
def test_other_lists_of_banned_voters_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "banned"
    file.write_text(text)
    with pytest.raises(SetupError):
        read_banned(file)


def _crowd_table() -> VoteTable:
    cast, _ = crowd(np.random.default_rng(1), {HONEST: 40, "left": 1, "tie": 1}, 60)
    assert cast.voter is not None
    names = np.array(cast.models)
    voters = [f"voter{code}" for code in cast.voter]
    return table(
        {
            "model_a": names[cast.left].tolist(),
            "model_b": names[cast.right].tolist(),
            "outcome": cast.outcome.tolist(),
            "voter": [None, *voters[1:]],
        }
    )


def test_votes_of_suspects_are_set_aside_and_none_is_lost() -> None:
    given = _crowd_table()
    anomalies = anomalies_of(given, level=0.01)

    kept, quarantined = set_aside(given, anomalies)

    assert {*quarantined.frame["voter"]} == {"voter40", "voter41"}
    assert len(kept) + len(quarantined) == len(given)
    assert kept.frame["voter"].null_count() == 1
    found = {one.voter: one for one in suspected(given, anomalies)}
    assert found["voter40"].kind in (Kind.LEFT, Kind.HABIT)
    assert found["voter41"].kind is Kind.TIE
    assert found["voter40"].votes >= 59
    assert found["voter40"].odds > 100


def test_votes_that_were_not_tested_are_not_set_aside() -> None:
    given = _crowd_table()
    anomalies = anomalies_of(given)
    with pytest.raises(SetupError, match="not the votes"):
        set_aside(given.where(pl.Series([False] + [True] * (len(given) - 1))), anomalies)


def test_without_voters_nobody_can_be_suspected() -> None:
    with pytest.raises(SetupError, match="'voter'"):
        anomalies_of(votes(3))


def test_long_talks_do_not_hide_what_stands_on_the_right() -> None:
    table = votes(conv_a=[talk("Why?", "word " * 40_000)], conv_b=[talk("Why?", "I am Claude.")])
    assert len(clean(table, [texts.names_its_model()]).table) == 0
