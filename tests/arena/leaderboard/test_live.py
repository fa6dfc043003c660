import asyncio
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastchat.arena.leaderboard import growing, live
from fastchat.arena.leaderboard.board import OVERALL, Board, CategoryBoard
from fastchat.arena.leaderboard.history import history
from fastchat.arena.leaderboard.live import LiveBoard, LiveVote
from fastchat.arena.leaderboard.rating import RatingOptions, category_board
from fastchat.arena.leaderboard.verifying import verify_counts
from fastchat.ranking.comparisons import Comparisons, Outcome, encode
from fastchat.ranking.counts import Counts

OPTIONS = RatingOptions(draws=200)
DAY = 86400.0

NAMES = ["a", "b", "c", "d", "zephyr"]
CATEGORIES = ["law", "german"]
VOTES = st.builds(
    lambda models, outcome, day, categories: LiveVote(*models, outcome, day * DAY + 7, tuple(sorted(categories))),
    st.permutations(NAMES).map(lambda names: names[:2]),
    st.sampled_from(Outcome),
    st.integers(20_000, 20_005),
    st.sets(st.sampled_from(CATEGORIES)),
)


def some_votes(count: int, models: int = 6, seed: int = 0) -> list[LiveVote]:
    rng = random.Random(seed)
    votes = []
    for at in range(count):
        one, two = rng.sample(range(models), 2)
        outcome = rng.choices(list(Outcome), [4 + one, 4 + two, 3, 1])[0]
        votes.append(LiveVote(f"m{one}", f"m{two}", outcome, 1.7e9 + at * 600, ("law",) if at % 3 == 0 else ()))
    return votes


def rows_of(votes: Sequence[LiveVote]) -> Comparisons:
    """As files of votes are read: all at once."""
    models, (left, right) = encode([[vote.left for vote in votes], [vote.right for vote in votes]])
    outcomes = np.array([vote.outcome for vote in votes], np.int8)
    return Comparisons(models, left, right, outcomes, time=np.array([vote.cast_at for vote in votes]))


def rebuilt(votes: Sequence[LiveVote]) -> CategoryBoard:
    return category_board(Counts.of(rows_of(votes)), OPTIONS)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(VOTES, min_size=1, max_size=12), min_size=1, max_size=3))
def test_after_every_batch_it_is_the_board_of_a_cold_rebuild(batches: list[list[LiveVote]]) -> None:
    async def run() -> None:
        board, cast = LiveBoard(OPTIONS), list[LiveVote]()
        for batch in batches:
            for vote in batch:
                board.add(vote)
            cast += batch
            for name in board.categories:
                members = [vote for vote in cast if name == OVERALL or name in vote.categories]
                assert await board.category(name) == rebuilt(members)
            assert await board.history() == tuple(history(rows_of(cast), OPTIONS))
        assert board.votes == len(cast)
        assert set(board.categories) == {OVERALL}.union(*(vote.categories for vote in cast))

    asyncio.run(run())


async def test_votes_that_are_added_up_in_between_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "_WAITING", 7)
    board, votes = LiveBoard(OPTIONS), some_votes(60)
    for vote in votes:
        board.add(vote)
    assert await board.category() == rebuilt(votes)


async def test_anyone_computes_it_again_from_what_it_says() -> None:
    board = LiveBoard(OPTIONS)
    for vote in some_votes(900):
        board.add(vote)
    board.add(LiveVote("m0", "m0-beta", Outcome.LEFT, 1.8e9))
    made = await board.board({"arena": "default"}, now=1.9e9, unlisted={"m0-beta"})
    found = verify_counts(Board.model_validate_json(made.model_dump_json()))
    assert found.differences == ()
    assert {"m0-beta"}.isdisjoint(row.name for row in made.categories[OVERALL].models)
    assert [(row.family, row.listed) for row in made.variants] == [("m0", ("m0",))]
    forged = made.model_copy(update={"variants": ()})
    assert not verify_counts(forged).is_right


async def test_without_votes_it_is_empty() -> None:
    board = LiveBoard(OPTIONS)
    assert (await board.category()).models == ()
    assert await board.history() == ()
    assert board.categories == (OVERALL,)
    with pytest.raises(KeyError):
        await board.category("law")


async def test_it_is_made_once_for_all_who_look_and_not_in_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []

    def watched(counts: Counts, options: RatingOptions) -> CategoryBoard:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            made.append(True)
        else:
            made.append(False)
        return category_board(counts, options)

    monkeypatch.setattr(live, "category_board", watched)
    board = LiveBoard(OPTIONS)
    votes = some_votes(50)
    for vote in votes:
        board.add(vote)
    seen = await asyncio.gather(*(board.category() for _ in range(5)))
    assert all(one is seen[0] for one in seen)
    assert made == [True]
    board.add(votes[0])
    assert (await board.category()).votes == 51
    assert made == [True, True]


async def test_votes_that_come_while_it_is_made_are_in_the_next_one() -> None:
    board, votes = LiveBoard(OPTIONS), some_votes(60)
    board.add(votes[0])
    making = asyncio.create_task(board.category())
    await asyncio.sleep(0)
    for vote in votes[1:]:
        board.add(vote)
    assert (await making).votes == 1
    assert (await board.category()) == rebuilt(votes)


async def test_only_the_day_that_has_new_votes_is_rated_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    rated: list[float] = []

    def watched(until: float, counts: Counts, options: RatingOptions) -> live.HistoryPoint | None:
        rated.append(until)
        return live_point(until, counts, options)

    live_point = live.point
    monkeypatch.setattr(live, "point", watched)
    board = LiveBoard(OPTIONS)
    for day in range(3):
        board.add(LiveVote("a", "b", Outcome.LEFT, day * DAY))
    assert [point.votes for point in await board.history()] == [1, 2, 3]
    assert rated == [DAY, 2 * DAY, 3 * DAY]
    board.add(LiveVote("b", "a", Outcome.LEFT, 2 * DAY + 5))
    assert [point.votes for point in await board.history()] == [1, 2, 4]
    assert rated[3:] == [3 * DAY]
    board.add(LiveVote("b", "a", Outcome.LEFT, DAY))  # as an import brings it
    assert [point.votes for point in await board.history()] == [1, 3, 5]
    assert rated[4:] == [2 * DAY, 3 * DAY]
