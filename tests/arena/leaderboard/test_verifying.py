"""A board can be computed again, and whoever changes a number of it is found out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastchat.arena.leaderboard.board import Board, ModelFacts, read_board
from fastchat.arena.leaderboard.building import BoardOptions, build
from fastchat.arena.leaderboard.verifying import VOTES_DIGEST, verify_counts, verify_votes
from fastchat.arena.leaderboard.votes import VoteTable, table
from fastchat.core.errors import SetupError

from .votes import rows, votes

OPTIONS: list[dict[str, Any]] = [
    {},
    {"ridge": 0.1, "anchor": "cat", "offset": 1200.0, "confidence": 0.9},
    {"interval": "bootstrap", "rounds": 20, "seed": 7},
    {"interval": "clustered"},
    {"rating": "elo", "rounds": 10},
    {"both_bad": "drop"},
    {"both_bad": "own"},
    {"style_control": True},
    {"inverse_propensity": True},
    {"unlisted": ("cat",)},
    {"categories": ("code",), "quarantine": True},
]


@pytest.fixture(scope="module")
def given() -> VoteTable:
    number = 300
    return votes(
        number,
        category=["code" if at % 3 else "maths" for at in range(number)],
        tokens_a=[100.0 + at % 7 for at in range(number)],
        tokens_b=[100.0 + at % 5 for at in range(number)],
        probability=[0.05 + 0.1 * (at % 2) for at in range(number)],
    )


def made(given: VoteTable, options: dict[str, Any]) -> Board:
    facts = {"ace": ModelFacts(organization="Acme", price=3.0)}
    board = build(given, BoardOptions(**options), now=1.0, facts=facts)
    return Board.model_validate_json(board.model_dump_json())  # as read from a file


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_board_is_what_its_votes_and_its_pairs_give(given: VoteTable, options: dict[str, Any]) -> None:
    board = made(given, options)
    assert verify_votes(board, given).differences == ()
    assert verify_counts(board).differences == ()


def test_online_elo_is_checked_whatever_order_it_put_the_models_in() -> None:
    columns = rows(300, {"ace": -1.0, "bee": 0.0, "cat": 1.0})  # not the alphabet's
    board = made(table(columns), {"rating": "elo", "rounds": 10})
    assert [row.name for row in board.categories["overall"].models] == ["cat", "bee", "ace"]
    assert verify_counts(board).differences == ()


@pytest.fixture(scope="module")
def board(given: VoteTable) -> Board:
    return made(given, {})


def numbers(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are any."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from numbers(value, (*path, name))
    elif isinstance(content, list):
        for at, value in enumerate(content):
            yield from numbers(value, (*path, at))
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield path


def changed(board: Board, path: tuple[Any, ...], by: float = 1) -> Board:
    """The seal is put on again: whoever changes numbers can do that, too."""
    content = json.loads(board.model_dump_json())
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] += by
    return Board.model_validate(content).sealed()


def test_any_changed_number_is_found_with_the_votes(given: VoteTable, board: Board) -> None:
    content = json.loads(board.model_dump_json())
    paths = [path for path in numbers(content) if path[0] not in ("built_at", "parameters", "facts")]
    assert len(paths) > 300
    sample = paths[:: len(paths) // 16]
    assert {path[0] for path in paths} >= {"categories", "history", "bias", "quarantine"}
    for path in sample:
        found = verify_votes(changed(board, path), given)
        assert any(str(path[-1]) in one.where or str(path[-2]) in one.where for one in found.differences), path


def test_changed_ratings_and_votes_are_found_without_the_votes(board: Board) -> None:
    content = json.loads(board.model_dump_json())
    paths = [path for path in numbers(content["categories"], ("categories",)) if path[2] != "digest"]
    assert {path[2] for path in paths} >= {"models", "pairs", "votes", "neighbours", "critical_value"}
    for path in paths[:: len(paths) // 30]:
        assert not verify_counts(changed(board, path)).is_right, path


def test_a_change_within_the_rounding_is_none(board: Board) -> None:
    path = ("categories", "overall", "models", 0, "rating")
    assert verify_counts(changed(board, path, by=1e-6)).is_right
    assert not verify_counts(changed(board, path, by=3e-6)).is_right


def test_changed_words_break_the_seal(board: Board) -> None:
    facts = {"ace": ModelFacts(organization="Somebody else")}
    found = verify_counts(board.model_copy(update={"facts": facts}))
    assert [one.where for one in found.differences] == ["digest"]


def test_other_votes_have_another_digest(given: VoteTable) -> None:
    said = VoteTable(given.frame, {VOTES_DIGEST: "one"})
    board = made(said, {})
    found = verify_votes(board, VoteTable(given.frame, {VOTES_DIGEST: "other"}))
    assert [one.where for one in found.differences] == ["source"]


def test_what_a_board_does_not_have_is_not_missed_but_said(given: VoteTable, board: Board) -> None:
    bare = board.model_copy(update={"bias": (), "quarantine": None, "history": ()}).sealed()
    found = verify_votes(bare, given)
    assert found.is_right
    assert {"bias: the board does not have it", "history: the board does not have it"} <= set(found.unchecked)


def test_what_could_not_be_checked_is_said(given: VoteTable) -> None:
    assert any("style" in what for what in verify_counts(made(given, {"style_control": True})).unchecked)
    assert any("Elo" in what for what in verify_counts(made(given, {"rating": "elo", "rounds": 10})).unchecked)
    assert any("intervals" in what for what in verify_counts(made(given, {"interval": "clustered"})).unchecked)


def test_a_board_with_parameters_of_another_version_is_refused(board: Board) -> None:
    strange = board.model_copy(update={"parameters": {"tie_rule": "new"}})
    with pytest.raises(SetupError, match="tie_rule"):
        verify_counts(strange)


@pytest.mark.parametrize("content", ["", "{}", '{"format": "fastchat-board/9"}', "[1]", "\x80"])
def test_what_is_no_board_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "board.json"
    file.write_text(content, "latin-1")
    with pytest.raises(SetupError, match="no board"):
        read_board(file)
    with pytest.raises(SetupError, match="cannot be read"):
        read_board(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("categories",), {}),
        (("built_at",), 1e300),
        (("categories", "overall", "pairs", 0, "given", 0), -1),
        (("categories", "overall", "pairs", 0, "given", 0), 10**30),
        (("categories", "overall", "pairs", 0, "weights"), [1, 2]),
        (("categories", "overall", "pairs", 0, "weights"), [-1, 0, 0, 0, 0, 0, 0, 0]),
        (("categories", "overall", "models", 0, "rating"), float("nan")),
        (("history", 0, "until"), 1e30),
    ],
    ids=str,
)
def test_numbers_that_no_board_can_have_are_refused(
    board: Board, tmp_path: Path, place: tuple[str | int, ...], value: object
) -> None:
    content = inside = json.loads(board.model_dump_json())
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    file = tmp_path / "board.json"
    file.write_text(json.dumps(content))
    with pytest.raises(SetupError, match=f"no board .*: {place[0]}"):
        read_board(file)
