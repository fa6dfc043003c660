"""The board as a file, and the counts of one category as a board: what the arena's own page makes after each vote."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from fastchat.arena.leaderboard.board import OVERALL, Board, ModelFacts, read_board
from fastchat.arena.leaderboard.pairs import counts_of
from fastchat.arena.leaderboard.rating import RatingOptions, category_board, rated, rated_rows
from fastchat.ranking.comparisons import Comparisons, Outcome, comparisons
from fastchat.ranking.counts import BothBad, Counts


def many(votes: int, models: int, seed: int = 0) -> Counts:
    random = np.random.default_rng(seed)
    left = random.integers(0, models, votes).astype(np.int32)
    right = ((left + random.integers(1, models, votes)) % models).astype(np.int32)
    outcome = random.integers(0, 4, votes).astype(np.int8)
    return Counts.of(Comparisons(tuple(f"model{at:03}" for at in range(models)), left, right, outcome))


def a_board(**others: object) -> Board:
    category = category_board(many(200, 4), RatingOptions())
    return Board(code_version="1", built_at=0.0, categories={OVERALL: category}, **others)  # type: ignore[arg-type]


def test_numbers_are_rounded_as_they_are_written() -> None:
    row = a_board().categories[OVERALL].models[0]
    assert row.rating == round(row.rating, 6)


def test_a_board_comes_back_from_its_file(tmp_path: Path) -> None:
    board = a_board(facts={"model000": ModelFacts(price=1.5)}).sealed()
    file = tmp_path / "board.json"
    file.write_text(board.model_dump_json())
    assert read_board(file) == board
    assert board.digest == board.own_digest == read_board(file).own_digest


def test_the_seal_covers_everything_but_itself() -> None:
    board = a_board().sealed()
    assert board.model_copy(update={"digest": "x"}).own_digest == board.digest
    assert board.model_copy(update={"built_at": 1.0}).own_digest != board.digest


def test_what_a_format_does_not_have_is_refused() -> None:
    content = json.loads(a_board().model_dump_json())
    with pytest.raises(ValidationError, match="surprise"):
        Board.model_validate(content | {"surprise": 1})


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//example.org", "ftp://example.org"])
def test_only_web_addresses_are_links(link: str) -> None:
    assert ModelFacts(link=link).link == ""
    assert ModelFacts(link="https://example.org").link == "https://example.org"


def test_pairs_give_the_counts_again() -> None:
    counts = many(3000, 12)
    again = counts_of(category_board(counts, RatingOptions()).pairs)
    assert np.array_equal(again.votes, counts.votes)
    assert again.digest == counts.digest


def test_an_increment_gives_the_board_of_a_cold_start() -> None:
    shards = [many(500, 8, seed) for seed in range(4)]
    grown = Counts.empty()
    for shard in shards:
        grown = grown + shard
    assert category_board(grown, RatingOptions()) == category_board(Counts.total(reversed(shards)), RatingOptions())


def test_models_without_votes_have_no_place() -> None:
    counts = many(300, 3).over(("nobody", "model000", "model001", "model002"))
    board = category_board(counts, RatingOptions())
    assert {row.name for row in board.models} == {"model000", "model001", "model002"}
    assert board.digest == category_board(many(300, 3), RatingOptions()).digest


def test_a_model_of_dropped_votes_alone_has_no_place() -> None:
    rows = comparisons(["x", "x", "y", "z"], ["y", "y", "x", "x"], [0, 1, 2, Outcome.BOTH_BAD])
    options = RatingOptions(both_bad=BothBad.DROP)
    assert rated(Counts.of(rows), options).models == ("x", "y")
    board = category_board(Counts.of(rows), options)
    assert [row.votes for row in board.models] == [3, 3]
    assert board.votes == 4
    assert board.both_bad_share == 0.25


def test_rows_are_narrowed_to_models_that_have_any() -> None:
    rows = comparisons(["a", "c", "e"], ["c", "e", "a"], [0, 0, 0])
    narrowed = rated_rows(rows.select(np.array([False, True, False])))
    assert narrowed.models == ("c", "e")
    assert (narrowed.left.tolist(), narrowed.right.tolist()) == ([0], [1])


def test_few_votes_are_preliminary() -> None:
    board = category_board(many(200, 4), RatingOptions(preliminary_below=101))
    assert {row.preliminary for row in board.models} == {row.votes < 101 for row in board.models}


def test_an_unbeaten_model_has_no_bound_above() -> None:
    board = category_board(Counts.of(comparisons(["x"] * 5, ["y"] * 5, [0] * 5)), RatingOptions())
    assert [(row.name, row.unbounded) for row in board.models] == [("x", "above"), ("y", "below")]
    assert board.notes


def test_rating_and_charts_need_neither_polars_nor_pandas() -> None:
    """They work in the process of the web page."""
    code = (
        "import sys; import fastchat.arena.leaderboard.rating, fastchat.arena.leaderboard.charts, "
        "fastchat.arena.leaderboard.history, fastchat.arena.leaderboard.variants; "
        "print([name for name in ('polars', 'pandas', 'plotly', 'sklearn', 'torch') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
