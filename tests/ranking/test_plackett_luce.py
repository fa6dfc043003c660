from collections.abc import Sequence
from itertools import permutations
from typing import Any

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Floats, Outcome, comparisons
from fastchat.ranking.counts import Counts
from fastchat.ranking.plackett_luce import Rankings, fit_plackett_luce, rankings
from fastchat.ranking.results import Unbounded

NAMES = "abcdefgh"


def drawn(models: int, lists: int, seed: int = 0, lengths: Sequence[int] = (2, 3, 5)) -> list[list[str]]:
    """Of strengths over two log-odds: the order of exponential waiting times is Plackett's and Luce's."""
    rng = np.random.default_rng(seed)
    rate = np.exp(np.linspace(0, 2, models))
    result = []
    for _ in range(lists):
        shown = rng.permutation(models)[: rng.choice(lengths)]
        order = shown[np.argsort(rng.exponential(1 / rate[shown]))]
        result.append([NAMES[model] for model in order])
    return result


def log_likelihood(lists: Sequence[Sequence[str]], depth: int, strength: dict[str, float]) -> Floats:
    """(lists,): choice by choice."""
    result = []
    for names in lists:
        odds = np.exp([strength[name] for name in names])
        choices = range(min(depth, len(names) - 1))
        result.append(sum(np.log(odds[at] / odds[at:].sum()) for at in choices))
    return np.array(result)


def test_it_is_choix() -> None:
    lists = drawn(6, 300)

    estimates = fit_plackett_luce(rankings(lists))

    codes = [[NAMES.index(name) for name in names] for names in lists]
    assert estimates.strengths == pytest.approx(choix.ilsr_rankings(6, codes, tol=1e-12), abs=1e-7)
    assert estimates.strengths == pytest.approx(choix.opt_rankings(6, codes, alpha=0.0, tol=1e-10), abs=1e-4)


def test_a_ridge_is_choixs() -> None:
    lists = drawn(5, 50)

    estimates = fit_plackett_luce(rankings(lists), ridge=6.0)  # choix's is not halved

    codes = [[NAMES.index(name) for name in names] for names in lists]
    assert estimates.strengths == pytest.approx(choix.opt_rankings(5, codes, alpha=3.0, tol=1e-10), abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.permutations(NAMES[:5]).map(lambda names: names[:2]), min_size=1, max_size=40), st.booleans())
def test_lists_of_two_are_bradley_terry(pairs: list[list[str]], is_weighted: bool) -> None:
    weight = list(np.linspace(0.5, 2, len(pairs))) if is_weighted else None

    estimates = fit_plackett_luce(rankings(pairs, weight=weight))

    winners, losers = zip(*pairs, strict=True)
    plain = fit_bradley_terry(Counts.of(comparisons(winners, losers, [Outcome.LEFT] * len(pairs), weight)))
    assert estimates.strengths == pytest.approx(plain.strengths, abs=1e-7)
    assert estimates.covariance == pytest.approx(plain.covariance, rel=1e-6, abs=1e-7)
    for field in ("models", "votes", "component", "unbounded"):
        assert np.array_equal(getattr(estimates, field), getattr(plain, field))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_errors_are_the_sandwich_of_the_lists(depth: int) -> None:
    lists = drawn(4, 400, lengths=(2, 4))
    deep = [min(depth, len(names)) for names in lists]

    estimates = fit_plackett_luce(rankings(lists, depth=deep))

    def surprises(strengths: Floats) -> Floats:
        return -log_likelihood(lists, depth, dict(zip(NAMES, strengths, strict=False)))

    def jacobian(function: Any, at: Floats) -> Floats:
        steps = 1e-4 * np.eye(len(at))
        return np.stack([(function(at + one) - function(at - one)) / 2e-4 for one in steps], axis=-1)

    scores = jacobian(surprises, estimates.strengths)
    hessian = jacobian(lambda at: jacobian(surprises, at).sum(axis=0), estimates.strengths)
    bread = np.linalg.pinv(hessian, rcond=1e-6)
    assert scores.sum(axis=0) == pytest.approx(np.zeros(4), abs=1e-6)
    assert estimates.covariance == pytest.approx(bread @ scores.T @ scores @ bread, abs=1e-6)


def test_planted_strengths_are_recovered() -> None:
    estimates = fit_plackett_luce(rankings(drawn(8, 5000)))

    planted = np.linspace(-1, 1, 8)
    assert (np.abs(estimates.strengths - planted) < 3.5 * estimates.errors).all()
    assert estimates.errors.max() < 0.05


def test_of_lists_in_order_up_to_some_depth_the_rest_may_stand_in_any_order() -> None:
    lists = [["a", "b", "c", "d"], ["b", "d", "a", "c"], ["c", "a", "d", "b"], ["d", "c", "b", "a"]]

    fits = [
        fit_plackett_luce(rankings([[names[0], *(names[at] for at in rest)] for names in lists], depth=[1] * 4))
        for rest in permutations((1, 2, 3))
    ]

    assert all(fit.strengths == pytest.approx(fits[0].strengths) for fit in fits)
    full = fit_plackett_luce(rankings(lists, depth=[4, 4, 4, 4]))
    assert full.strengths == pytest.approx(fit_plackett_luce(rankings(lists)).strengths)
    assert full.errors.max() != pytest.approx(fits[0].errors.max())


def test_a_list_of_weight_two_has_two_equals_strengths() -> None:
    lists = drawn(4, 60)

    weighted = fit_plackett_luce(rankings([*lists, lists[0]], weight=[1.0] * 60 + [2.0]))
    repeated = fit_plackett_luce(rankings([*lists, lists[0], lists[0]]))

    assert weighted.strengths == pytest.approx(repeated.strengths, abs=1e-9)
    assert (weighted.errors > repeated.errors).all()  # one voter, not two


def test_lists_of_many_models_are_gone_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = rankings(drawn(8, 200, lengths=(3, 8)))
    whole = fit_plackett_luce(lists)

    monkeypatch.setattr("fastchat.ranking.plackett_luce._NUMBERS", 500)

    assert fit_plackett_luce(lists).strengths == pytest.approx(whole.strengths, abs=1e-10)


def test_where_all_lists_agree_a_rule_is_applied_and_groups_stay_apart() -> None:
    estimates = fit_plackett_luce(rankings([["a", "b", "c"], ["a", "b"], ["d", "e"], ["e", "d"]]))

    assert list(estimates.component) == [0, 0, 0, 1, 1]
    assert list(estimates.unbounded) == [Unbounded.ABOVE, Unbounded.NO, Unbounded.BELOW, Unbounded.NO, Unbounded.NO]
    assert estimates.strengths[0] > estimates.strengths[1] > estimates.strengths[2]
    assert estimates.strengths[3] == pytest.approx(0)
    assert any("one tie" in note for note in estimates.parameters["notes"])


@pytest.mark.parametrize(
    ("lists", "more", "what"),
    [
        ([["a"]], {}, "two models"),
        ([["a", "b", "a"]], {}, "twice"),
        ([["a", "b"]], {"depth": [3]}, "depth"),
        ([["a", "b"]], {"weight": [0.0]}, "above 0"),
        ([["a", "b"]], {"weight": [1.0, 1.0]}, "every list needs"),
    ],
)
def test_lists_that_are_none_are_refused(lists: list[list[str]], more: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        rankings(lists, **more)


def test_codes_have_to_be_those_of_models() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Rankings(("a", "b"), np.array([0, 2], np.int32), np.array([2]))


def test_no_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="no vote"):
        fit_plackett_luce(rankings([]))


def test_the_digest_is_of_all_that_is_read() -> None:
    plain = rankings([["a", "b", "c"]])

    assert plain.digest == rankings([["a", "b", "c"]]).digest
    assert len({plain.digest, rankings([["a", "c", "b"]]).digest, rankings([["a", "b", "c"]], depth=[1]).digest}) == 3
