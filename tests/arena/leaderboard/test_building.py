"""From a table of votes to a board: what is in it, what is left out, and what is refused."""

import math
from random import Random
from typing import Any

import numpy as np
import pytest

from fastchat.arena.cleaning.choosing import CleaningOptions
from fastchat.arena.leaderboard.board import OVERALL, Board, ModelFacts
from fastchat.arena.leaderboard.building import BoardOptions, build
from fastchat.arena.leaderboard.pairs import counts_of
from fastchat.arena.leaderboard.rating import category_board
from fastchat.arena.leaderboard.variants import expected_maximum, family_of
from fastchat.arena.leaderboard.votes import VoteTable, table
from fastchat.core.errors import SetupError
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Outcome
from fastchat.ranking.counts import Counts
from fastchat.ranking.results import ELO_PER_LOGIT

from .votes import STRENGTHS, rows, votes


def board_of(votes: VoteTable, **options: Any) -> Board:
    return build(votes, BoardOptions(**{"false_alarms": None, **options}), now=0.0)


def test_models_stand_in_order_with_intervals_and_ranks() -> None:
    overall = board_of(votes(4000)).categories[OVERALL]
    assert [row.name for row in overall.models] == sorted(STRENGTHS)
    for row in overall.models:
        assert row.lower < row.rating < row.upper
        assert 1 <= row.rank_lower <= row.rank_upper <= len(STRENGTHS)
    assert sum(row.votes for row in overall.models) == 2 * overall.votes == 8000
    apart = overall.models[0].rating - overall.models[-1].rating
    assert 0.6 * 2.4 * ELO_PER_LOGIT < apart < 2.4 * ELO_PER_LOGIT  # ties pull inwards
    assert overall.both_bad_share == pytest.approx(0.05)
    assert np.mean([row.rating for row in overall.models]) == pytest.approx(1000)


def test_pairs_hold_every_vote_of_the_category() -> None:
    given = votes(500)
    overall = board_of(given).categories[OVERALL]
    assert sum(pair.votes for pair in overall.pairs) == 500
    assert all(pair.model_a < pair.model_b for pair in overall.pairs)
    counts = Counts.of(given.comparisons())
    again = counts_of(overall.pairs)
    assert np.array_equal(again.votes, counts.votes)
    assert again.digest == counts.digest == overall.digest
    ace_bee = next(pair for pair in overall.pairs if (pair.model_a, pair.model_b) == ("ace", "bee"))
    left, right = counts.votes[:, 0, 1], counts.votes[:, 1, 0]
    assert ace_bee.wins_a == left[Outcome.LEFT] + right[Outcome.RIGHT]
    assert ace_bee.wins_b == left[Outcome.RIGHT] + right[Outcome.LEFT]


def test_pairs_keep_weights_in_full() -> None:
    random = Random(1)
    given = votes(300, weight=[random.random() + 0.1 for _ in range(300)])
    overall = board_of(given).categories[OVERALL]
    counts = counts_of(overall.pairs)
    assert counts.digest == Counts.of(given.comparisons()).digest == overall.digest
    assert overall.pairs[0].votes == sum((*overall.pairs[0].given, *overall.pairs[0].swapped))
    assert sum(overall.outcomes.values()) == pytest.approx(counts.weights.sum())


def test_categories_come_from_their_column_with_all_votes_first() -> None:
    given = votes(600, category=[("code", "maths", None)[at % 3] for at in range(600)])
    board = board_of(given)
    assert list(board.categories) == [OVERALL, "code", "maths"]
    assert [found.votes for found in board.categories.values()] == [600, 200, 200]
    chosen = board_of(given, categories=("maths", OVERALL))
    assert list(chosen.categories) == ["maths", OVERALL]
    assert chosen.categories["maths"] == board.categories["maths"]


def test_unknown_category_is_refused_with_those_there_are() -> None:
    given = votes(50, category=["code"] * 50)
    with pytest.raises(SetupError, match=r"nonsense.*overall, code"):
        board_of(given, categories=("nonsense",))


def test_a_model_that_meets_itself_is_left_out_and_said() -> None:
    columns = rows(100)
    columns["model_b"][7] = columns["model_a"][7]
    board = board_of(table(columns))
    assert board.categories[OVERALL].votes == 99
    assert [(step.rule, step.dropped) for step in board.cleaning if step.dropped] == [("self-play", 1)]


def test_anonymous_only_leaves_out_named_battles() -> None:
    board = board_of(votes(100, anony=[at % 4 != 0 for at in range(100)]), anonymous_only=True)
    assert board.categories[OVERALL].votes == 75
    assert board.cleaning[-1].dropped == 25
    with pytest.raises(SetupError, match="anony"):
        board_of(votes(100), anonymous_only=True)


def test_both_bad_is_a_tie_or_dropped() -> None:
    given = votes(1000)
    half, drop = (board_of(given, both_bad=what).categories[OVERALL] for what in ("half", "drop"))
    assert half.votes == drop.votes == 1000
    assert sum(row.votes for row in half.models) == 2000
    assert sum(row.votes for row in drop.models) == 1900
    assert half.models[0].rating < drop.models[0].rating
    assert half.pairs == drop.pairs


def test_both_bad_of_its_own_is_an_outcome_that_both_lose() -> None:
    own = board_of(votes(1000), both_bad="own").categories[OVERALL]
    assert [row.name for row in own.models] == sorted(STRENGTHS)


def test_anchor_sets_the_scale() -> None:
    given = votes(1000)
    free, held = board_of(given).categories[OVERALL], board_of(given, anchor="cat", offset=1114).categories[OVERALL]
    ratings = {row.name: row.rating for row in held.models}
    assert ratings["cat"] == 1114
    moved = {row.name: row.rating for row in free.models}
    assert ratings["ace"] - ratings["eel"] == pytest.approx(moved["ace"] - moved["eel"], abs=1e-5)
    with pytest.raises(SetupError, match=r"yak.*ace, bee"):
        board_of(given, anchor="yak")


def test_ratings_are_those_of_the_fit() -> None:
    given = votes(700)
    estimates = fit_bradley_terry(Counts.of(given.comparisons()), ridge=0.5)
    ratings = {row.name: row.rating for row in board_of(given, ridge=0.5).categories[OVERALL].models}
    expected = dict(zip(estimates.models, 1000 + ELO_PER_LOGIT * estimates.strengths, strict=True))
    assert ratings == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("interval", ["sandwich", "clustered", "bootstrap"])
def test_every_interval_has_the_same_ratings(interval: str) -> None:
    given = votes(600)
    plain = board_of(given).categories[OVERALL]
    other = board_of(given, interval=interval, rounds=50).categories[OVERALL]
    assert [row.rating for row in other.models] == [row.rating for row in plain.models]
    assert all(row.lower < row.rating < row.upper for row in other.models)


def test_more_confidence_leaves_more_open() -> None:
    given = votes(600)
    sure, surer = (board_of(given, confidence=share).categories[OVERALL] for share in (0.8, 0.9999))
    for one, other in zip(sure.models, surer.models, strict=True):
        assert other.upper - other.lower > one.upper - one.lower
        assert other.rank_upper - other.rank_lower >= one.rank_upper - one.rank_lower
    assert (surer.critical_value or 0) > (sure.critical_value or 0)


def test_clustered_intervals_need_voters() -> None:
    columns = rows(100)
    del columns["voter"]
    with pytest.raises(SetupError, match="voter"):
        board_of(table(columns), interval="clustered")


def test_elo_follows_the_order_of_time() -> None:
    columns = rows(400)
    order = list(range(400))
    Random(3).shuffle(order)
    shuffled = {name: [column[at] for at in order] for name, column in columns.items()}
    options = {"rating": "elo", "rounds": 20}
    one, other = (board_of(table(given), **options).categories[OVERALL] for given in (columns, shuffled))
    assert [(row.name, row.rating) for row in one.models] == [(row.name, row.rating) for row in other.models]
    assert one.models[0].rating < board_of(table(columns)).categories[OVERALL].models[0].rating


def test_elo_without_times_says_what_order_it_followed() -> None:
    columns = rows(100)
    del columns["tstamp"]
    notes = build(table(columns), BoardOptions(rating="elo", rounds=5), now=0.0).categories[OVERALL].notes
    assert any("order in which they were given" in note for note in notes)


def test_milliseconds_are_no_seconds() -> None:
    columns = rows(20)
    columns["tstamp"] = [1000 * time for time in columns["tstamp"]]
    with pytest.raises(SetupError, match=r"tstamp is 17\d+, and has to be seconds"):
        build(table(columns), BoardOptions(), now=0.0)


def test_style_control_takes_length_out_of_the_ratings() -> None:
    """`bee` and `cat` are equally strong, but `bee` is long and length is liked."""
    random = Random(5)
    length = {"ace": 1.0, "bee": 3.0, "cat": 1.0}
    columns: dict[str, list[Any]] = {name: [] for name in ("model_a", "model_b", "outcome", "tokens_a", "tokens_b")}
    for _ in range(3000):
        one, two = random.sample(sorted(length), 2)
        tokens = [300 * length[name] * math.exp(random.gauss(0, 0.7)) for name in (one, two)]
        odds = 2.0 * (tokens[0] - tokens[1]) / sum(tokens)
        outcome = Outcome.LEFT if random.random() < 1 / (1 + math.exp(-odds)) else Outcome.RIGHT
        for column, value in zip(columns.values(), (one, two, int(outcome), *tokens), strict=True):
            column.append(value)
    overall = board_of(table(columns), style_control=True).categories[OVERALL]
    controlled = {row.name: row.rating for row in overall.models}
    assert overall.raw is not None
    raw = {row.name: row.rating for row in overall.raw}
    assert raw["bee"] - raw["cat"] > 100 > 60 > abs(controlled["bee"] - controlled["cat"])
    [length_row] = overall.coefficients
    assert length_row.name == "length"
    assert 0 < length_row.lower < length_row.estimate < length_row.upper
    assert board_of(table(columns)).categories[OVERALL].models == overall.raw


def test_style_is_counted_in_conversations() -> None:
    from fastchat.arena.leaderboard.style import with_style

    answer = "# Head\n\n- one\n- **two**\n1. three\n\n```\n# no head\n- no list\n```\n"
    said = [{"role": "user", "content": "- not counted"}, {"role": "assistant", "content": answer}]
    plain = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "So be it."}]
    given = table({"model_a": ["x"], "model_b": ["y"], "outcome": [0], "conv_a": [said], "conv_b": [plain]})
    found = with_style(given).frame.row(0, named=True)
    assert (found["headers_a"], found["lists_a"], found["bold_a"]) == (1, 3, 1)
    assert (found["headers_b"], found["lists_b"], found["bold_b"], found["tokens_b"]) == (0, 0, 0, 4)


def test_style_control_without_anything_to_go_by_is_refused() -> None:
    with pytest.raises(SetupError, match="tokens_a"):
        board_of(votes(50), style_control=True)


def test_left_side_bias_is_measured() -> None:
    board = board_of(table(rows(4000, left=0.4)))
    [side] = [row for row in board.bias if row.name == "left side"]
    # A tenth and a twentieth of all votes are ties, which know no side.
    assert side.lower < 0.4 * 0.85 * ELO_PER_LOGIT < side.upper
    assert side.lower > 0
    [none] = [row for row in board_of(table(rows(4000))).bias if row.name == "left side"]
    assert none.lower < 0 < none.upper


def test_same_organisation_is_in_the_panel_when_organisations_are_known() -> None:
    makers = {name: ModelFacts(organization="Acme" if name in ("ace", "eel") else name) for name in STRENGTHS}
    board = build(votes(1000), BoardOptions(false_alarms=None), now=0.0, facts=makers)
    assert [row.name for row in board.bias] == ["left side", "same organisation"]
    assert board.facts["ace"].organization == "Acme"


def test_anomalous_voters_are_reported_and_left_out_on_demand() -> None:
    columns = rows(3000)
    for _ in range(150):
        for name, value in zip(columns, ("eel", "ace", int(Outcome.LEFT), 1_700_500_000.0, "rogue"), strict=True):
            columns[name].append(value)
    told = board_of(table(columns), false_alarms=0.1)
    assert told.quarantine is not None
    assert not told.quarantine.applied
    assert told.quarantine.votes >= 150
    assert told.categories[OVERALL].votes == 3150
    assert told.categories[OVERALL].models == told.quarantine.models_with
    applied = board_of(table(columns), false_alarms=0.1, quarantine=True)
    assert applied.quarantine is not None
    assert applied.categories[OVERALL].models == applied.quarantine.models_without == told.quarantine.models_without
    assert applied.cleaning[-1].rule == "quarantine"
    rating = {row.name: row.rating for row in applied.categories[OVERALL].models}
    fooled = {row.name: row.rating for row in told.categories[OVERALL].models}
    assert rating["eel"] < fooled["eel"]


def test_variants_are_all_listed_and_a_hidden_one_is_flagged() -> None:
    strengths = {"gpt-1-0301": 0.5, "gpt-1-0613": 0.2, "other": 0.0}
    given = table(rows(900, strengths))
    [family] = board_of(given).variants
    assert (family.family, list(family.tested), family.flagged) == ("gpt-1", ["gpt-1-0301", "gpt-1-0613"], False)
    hidden = board_of(given, unlisted=("gpt-1-0613",))
    [family] = hidden.variants
    assert family.flagged
    assert family.listed == ("gpt-1-0301",)
    assert sum(family.tested.values()) > 0
    assert [row.name for row in hidden.categories[OVERALL].models] == ["gpt-1-0301", "other"]
    assert "gpt-1-0613" not in hidden.history[-1].ratings
    assert hidden.categories[OVERALL].pairs == board_of(given).categories[OVERALL].pairs


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4-1106-preview", "gpt-4"),
        ("claude-3-opus-20240229", "claude-3-opus"),
        ("gemini-exp-1206", "gemini"),
        ("acme-candidate-a", "acme"),
        ("llama-2-70b-chat", "llama-2-70b-chat"),
        ("vicuna-13b", "vicuna-13b"),
        ("2024", "2024"),
    ],
)
def test_families_go_by_names(name: str, family: str) -> None:
    assert family_of(name, {}) == family
    assert family_of(name, {name: ModelFacts(family="said")}) == "said"


def test_the_best_of_many_equal_ones_gains_by_chance() -> None:
    assert expected_maximum(1) == pytest.approx(0, abs=1e-9)
    assert expected_maximum(2) == pytest.approx(1 / math.sqrt(math.pi), abs=1e-6)
    assert expected_maximum(50) == pytest.approx(2.2491, abs=1e-3)


def test_history_ends_with_the_board() -> None:
    board = board_of(votes(1000))
    assert 10 <= len(board.history) <= 11
    last = board.history[-1]
    assert last.votes == 1000
    assert last.ratings == pytest.approx({row.name: row.rating for row in board.categories[OVERALL].models}, abs=1e-6)
    assert len(board_of(votes(1000), history_points=4).history) == 4


def test_inverse_propensities_weigh_votes() -> None:
    likely = [0.05 if at % 2 else 0.2 for at in range(400)]
    board = board_of(votes(400, probability=likely), inverse_propensity=True)
    overall = board.categories[OVERALL]
    assert overall.votes == 400
    assert sum(overall.outcomes.values()) == pytest.approx(400)
    assert overall.pairs[0].weights
    plain = board_of(votes(400)).categories[OVERALL]
    assert overall.models != plain.models


def test_cleaning_by_rules_is_a_waterfall() -> None:
    board = board_of(votes(340), cleaning=CleaningOptions(daily_votes=2, excluded_models=("eel",)))
    assert [row.name for row in board.categories[OVERALL].models] == ["ace", "bee", "cat", "dog"]
    for one, other in zip(board.cleaning, board.cleaning[1:], strict=False):
        assert other.given == one.kept
    assert board.cleaning[-1].kept == board.categories[OVERALL].votes


def test_groups_that_never_met_are_told_apart() -> None:
    one, other = rows(300, {"a1": 0.5, "a2": 0.0}), rows(100, {"b1": 0.5, "b2": 0.0})
    overall = board_of(table({name: one[name] + other[name] for name in one})).categories[OVERALL]
    assert overall.components == (("a1", "a2"), ("b1", "b2"))
    assert {row.name: (row.component, row.rank_lower) for row in overall.models}["b1"] == (1, 1)
    assert all({row.better[0], row.worse[0]} != {"a", "b"} for row in overall.neighbours)
    assert any("groups" in note for note in overall.notes)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_single_vote_makes_a_board(outcome: Outcome) -> None:
    overall = board_of(table({"model_a": ["x"], "model_b": ["y"], "outcome": [int(outcome)]})).categories[OVERALL]
    assert {row.name for row in overall.models} == {"x", "y"}
    assert all(math.isfinite(value) for row in overall.models for value in (row.rating, row.lower, row.upper))


def test_votes_of_which_none_is_left_make_an_empty_board() -> None:
    overall = board_of(table({"model_a": ["x"], "model_b": ["x"], "outcome": [0]})).categories[OVERALL]
    assert overall.models == ()
    assert overall.notes


def test_no_votes_at_all_are_no_error_for_a_live_board() -> None:
    from fastchat.arena.leaderboard.rating import RatingOptions

    empty = category_board(Counts.empty(("x", "y")), RatingOptions())
    assert (empty.votes, empty.models, empty.pairs) == (0, (), ())


def test_same_votes_same_bytes() -> None:
    given = votes(500)
    one, other = (board_of(given, interval="bootstrap", rounds=20) for _ in range(2))
    assert one.model_dump_json() == other.model_dump_json()
    backwards = board_of(table({name: column[::-1] for name, column in rows(500).items()}))
    assert backwards.categories[OVERALL] == board_of(given).categories[OVERALL]
