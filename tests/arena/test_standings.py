import pytest

from fastchat.arena.leaderboard.board import OVERALL
from fastchat.arena.records import Mark, Outcome
from fastchat.arena.standings import Counting, Standings
from fastchat.arena.store.store import CountedVote


def vote(outcome: Outcome, left: str = "a", right: str = "b", *, mode: str = "battle", **more: object) -> CountedVote:
    return CountedVote("default", mode, outcome, left, right, cast_at=more.pop("at", 1.0), **more)  # type: ignore[arg-type]


def counted(*votes: CountedVote) -> Counting:
    counting = Counting()
    counting.add_all(votes)
    return counting


async def test_outcomes_are_those_of_the_voters() -> None:
    found = await counted(
        *[vote(Outcome.LEFT)] * 4, *[vote(Outcome.RIGHT)] * 3, *[vote(Outcome.TIE)] * 2, vote(Outcome.BOTH_BAD)
    ).standings().category()  # fmt: skip
    assert found.outcomes == {"left": 4, "right": 3, "tie": 2, "both_bad": 1}
    assert found.pairs[0].given == (4, 3, 2, 1)
    assert [row.name for row in found.models] == ["a", "b"]


async def test_only_blind_battles_count() -> None:
    standings = counted(
        vote(Outcome.LEFT, mode="side_by_side"),
        vote(Outcome.LEFT, "a", "a"),
        vote(Outcome.LEFT, marks=frozenset({Mark.NAMES_ITSELF})),
        vote(Outcome.LEFT, marks=frozenset({Mark.FREQUENT_PROMPT}), at=9.0),
    ).standings()
    assert (standings.votes, standings.left_out, standings.last_vote_at) == (1, 1, 9.0)
    assert [row.votes for row in (await standings.category()).models] == [1, 1]


async def test_a_model_that_is_not_listed_has_no_place_but_its_battles_count() -> None:
    standings = counted(*[vote(Outcome.LEFT)] * 3, vote(Outcome.RIGHT), vote(Outcome.LEFT, "b", "c")).standings({"a"})
    found = await standings.category()
    assert [(row.name, row.votes) for row in found.models] == [("b", 5), ("c", 1)]
    assert all(row.better != "a" for row in found.neighbours)
    assert found.top_flip is None
    board = await standings.board(now=2.0)
    assert board.parameters["unlisted"] == ["a"]
    assert board.categories[OVERALL] == found


async def test_categories_are_what_is_known_of_the_conversation() -> None:
    standings = counted(
        vote(Outcome.LEFT),
        vote(Outcome.LEFT, category="Tenancy law", language="de-AT"),
        vote(Outcome.LEFT, category=OVERALL, language="tlh"),  # no second count, and no language that we know
        vote(Outcome.RIGHT, language="de"),
    ).standings()
    assert standings.categories == (OVERALL, "Tenancy law", "german")
    assert [(await standings.category(name)).votes for name in standings.categories] == [4, 1, 2]


def test_the_version_changes_with_what_is_shown() -> None:
    counting = counted(vote(Outcome.LEFT))

    def version(*unlisted: str) -> str:
        return counting.standings(unlisted).version

    first = version()
    assert version() == first
    assert version("b") != first
    counting.add(vote(Outcome.LEFT, marks=frozenset({Mark.NAMES_ITSELF})))
    left_out = version()
    counting.add(vote(Outcome.LEFT))
    assert len({first, left_out, version()}) == 3


async def test_a_board_says_where_its_votes_are_from() -> None:
    standings = counted(vote(Outcome.LEFT, at=5.0)).standings(source={"arena": "legal"})
    board = await standings.board(now=7.0)
    assert board.source == {"arena": "legal", "left_out": 0, "last_vote_at": 5.0}
    assert board.built_at == 7.0
    assert board.digest == board.own_digest


@pytest.mark.parametrize("votes", [(), (vote(Outcome.LEFT, mode="direct"),)])
async def test_without_votes_nobody_has_a_place(votes: tuple[CountedVote, ...]) -> None:
    standings: Standings = counted(*votes).standings()
    assert (await standings.category()).models == ()
    assert standings.votes == 0
