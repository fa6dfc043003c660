import numpy as np
import pytest
from hypothesis import given

from fastchat.ranking.comparisons import Comparisons
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.graph import components, is_one_way, members_of, strong_parts, unbounded
from fastchat.ranking.likelihood import fold
from tests.ranking.samples import votes, wins

NO, ABOVE, BELOW = 0, 1, -1


def worth_of(sample: Comparisons) -> np.ndarray:
    return fold(Counts.of(sample).weights, BothBad.HALF).worth


def components_of(sample: Comparisons) -> np.ndarray:
    return components(worth_of(sample), Counts.of(sample).votes_of)


def signs_of(*pairs: str) -> dict[str, int]:
    sample = wins(*pairs)
    signs = unbounded(worth_of(sample), components_of(sample))
    return dict(zip(sample.models, signs.tolist(), strict=True))


def reached(worth: np.ndarray, start: int) -> set[int]:
    """Along wins, by walking."""
    seen, waiting = {start}, [start]
    while waiting:
        for loser in np.flatnonzero(worth[waiting.pop()]).tolist():
            if loser not in seen:
                seen.add(loser)
                waiting.append(loser)
    return seen


def test_models_that_met_through_others_are_one_component() -> None:
    sample = wins("a>b", "c>b", "d=e")
    assert components_of(sample).tolist() == [0, 0, 0, 1, 1]


def test_component_0_has_most_votes_and_not_most_models() -> None:
    sample = wins("a>b", "c>b", "d=e", "d=e", "d=e")
    assert components_of(sample).tolist() == [1, 1, 1, 0, 0]


def test_components_of_as_many_votes_stand_in_the_order_of_their_models() -> None:
    assert components_of(wins("a>d", "b>c")).tolist() == [0, 1, 1, 0]


def test_a_model_without_a_vote_is_a_component_of_its_own() -> None:
    sample = wins("b>c", "a>b").select(np.array([0]))
    assert components_of(sample).tolist() == [1, 0, 0]


@given(votes(models=8, most=8))
def test_components_are_those_that_walking_finds(sample: Comparisons) -> None:
    worth = worth_of(sample)
    component = components_of(sample)
    for model in range(len(worth)):
        assert reached(worth + worth.T, model) == set(np.flatnonzero(component == component[model]).tolist())
    by_votes = np.bincount(component, Counts.of(sample).votes_of)
    assert (np.diff(by_votes) <= 0).all()


def test_members_of_each_component_come_in_order() -> None:
    assert [members.tolist() for members in members_of(np.array([1, 0, 2, 0], np.int32))] == [[1, 3], [0], [2]]


@given(votes(models=8, most=12))
def test_strong_parts_reach_each_other(sample: Comparisons) -> None:
    worth = worth_of(sample)
    part = strong_parts(worth)
    reach = [reached(worth, model) for model in range(len(worth))]
    for one, other in np.ndindex(worth.shape):
        assert (part[one] == part[other]) == (one in reach[other] and other in reach[one])


def test_ties_bound_both_sides() -> None:
    assert signs_of("a=b", "b=c") == {"a": NO, "b": NO, "c": NO}


def test_a_circle_of_wins_bounds_everybody() -> None:
    assert signs_of("a>b", "b>c", "c>a") == {"a": NO, "b": NO, "c": NO}


def test_who_won_or_lost_everything_against_the_core_has_no_bound() -> None:
    assert signs_of("a=b", "x>a", "x>b", "b>y") == {"a": NO, "b": NO, "x": ABOVE, "y": BELOW}


def test_parts_behind_others_have_no_bound_either() -> None:
    # x and y bound each other, but all wins between them and the core go one way.
    signs = signs_of("a=b", "a=b", "a=b", "x=y", "x>a", "z>x")
    assert signs == {"a": NO, "b": NO, "x": ABOVE, "y": ABOVE, "z": ABOVE}


def test_the_core_is_where_most_votes_are() -> None:
    assert signs_of("a=b", "x=y", "x=y", "a>x") == {"a": ABOVE, "b": ABOVE, "x": NO, "y": NO}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["a>b"], {"a": ABOVE, "b": BELOW}),
        (["a>b", "b>c"], {"a": ABOVE, "b": NO, "c": BELOW}),
        (["a>b", "b>c", "c>d"], {"a": ABOVE, "b": ABOVE, "c": BELOW, "d": BELOW}),
    ],
)
def test_without_a_core_the_way_is_that_of_most_models(pairs: list[str], expected: dict[str, int]) -> None:
    assert signs_of(*pairs) == expected


def test_who_is_linked_with_the_core_only_by_common_victims_is_above() -> None:
    assert signs_of("a=b", "a>y", "x>y") == {"a": NO, "b": NO, "x": ABOVE, "y": BELOW}


def test_each_component_has_a_core() -> None:
    assert signs_of("a=b", "x>a", "p=q", "p>z") == {"a": NO, "b": NO, "x": ABOVE, "p": NO, "q": NO, "z": BELOW}


@given(votes(models=8, most=20))
def test_nobody_lacks_a_bound_exactly_where_all_reach_each_other(sample: Comparisons) -> None:
    worth, component = worth_of(sample), components_of(sample)
    signs, one_way = unbounded(worth, component), is_one_way(worth, component)
    for members in members_of(component):
        linked = all(reached(worth, int(model)) == set(members.tolist()) for model in members)
        assert linked == (not signs[members].any())
        assert [linked] * len(members) == (~one_way[members]).tolist()
