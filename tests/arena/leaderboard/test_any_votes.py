"""Whatever votes and options come together: there is a board that can be read and computed again, or words why not."""

from random import Random
from typing import Any

import pytest

from fastchat.arena.leaderboard.board import Board, ModelFacts
from fastchat.arena.leaderboard.building import BoardOptions, build
from fastchat.arena.leaderboard.rendering.site import page
from fastchat.arena.leaderboard.verifying import verify_counts, verify_votes
from fastchat.arena.leaderboard.votes import VoteTable, table
from fastchat.core.errors import SetupError

FACTS = {name: ModelFacts(organization="Acme") for name in ("m0", "m1")}
SHARES = ((1, 1, 1, 1), (1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (5, 1, 1, 1))  # of outcomes


def votes_at_random(random: Random) -> VoteTable:
    number, models = random.choice((1, 2, 5, 30, 100)), random.choice((1, 2, 3, 8))

    def any_of(*values: Any) -> list[Any]:
        return [random.choice(values) for _ in range(number)]

    names = [f"m{at}" for at in range(models)]
    columns = {
        "model_a": any_of(*names),
        "model_b": any_of(*names),
        "outcome": random.choices(range(4), random.choice(SHARES), k=number),
    }
    others = {
        "weight": any_of(1.0, 3.0, 0.001, 1e6),
        "voter": ["a", *any_of("a", "b", None)[1:]],
        "tstamp": [1.7e9 + 1e6 * random.random() for _ in range(number)],
        "category": ["x", *any_of("x", "y", "", None)[1:]],
        "tokens_a": any_of(0.0, 5.0, 100.0),
        "tokens_b": any_of(0.0, 5.0, 100.0),
    }
    return table(columns | {name: column for name, column in others.items() if random.random() < 0.6})


def options_at_random(random: Random) -> dict[str, Any]:
    return {
        "rating": random.choice(("bt", "bt", "bt", "elo")),
        "interval": random.choice(("sandwich", "clustered", "bootstrap")),
        "both_bad": random.choice(("half", "drop", "own")),
        "ridge": random.choice((0.0, 0.0, 1e-9, 100.0)),
        "style_control": random.random() < 0.3,
        "anchor": random.choice((None, None, "m0")),
        "unlisted": random.choice(((), ("m1",))),
        "without_ties": random.random() < 0.1,
        "confidence": random.choice((0.5, 0.95, 0.999)),
        "rounds": 5,
    }


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_there_is_a_board_or_words(first: int) -> None:
    built, refused = 0, list[str]()
    for seed in range(first, first + 20):
        random = Random(seed)
        votes, options = votes_at_random(random), options_at_random(random)
        try:
            made = build(votes, BoardOptions.of(**options), now=1.0, facts=FACTS)
        except SetupError as error:
            refused.append(error.message)
            continue
        built += 1
        board = Board.model_validate_json(made.model_dump_json())
        assert (verify_counts(board).differences, verify_votes(board, votes).differences) == ((), ()), (seed, options)
        assert page(board, "Any").endswith("</html>\n")
        for row in [row for category in board.categories.values() for row in category.models]:
            assert 1 <= row.rank_lower <= row.rank_upper, (seed, options)
    assert built >= 5
    assert not [words for words in refused if "matrix" in words.casefold()]  # a library's
