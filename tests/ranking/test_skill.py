import sys
from dataclasses import replace

import numpy as np
import pytest

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.skill import fit_openskill
from tests.ranking.samples import drawn, wins


def test_after_many_votes_it_comes_to_bradley_terry_with_its_errors() -> None:
    sample = drawn(8, 8000)

    estimates = fit_openskill(sample)

    exact = fit_bradley_terry(Counts.of(sample))
    assert np.abs(estimates.strengths - exact.strengths).max() < 2 * exact.errors.max()
    # It takes a tie for as much news as a win; the sandwich knows that ties are less spread.
    assert (estimates.errors > 0.8 * exact.errors).all()
    assert (estimates.errors < 1.6 * exact.errors).all()


def test_doubt_starts_at_that_of_the_library_and_shrinks() -> None:
    few, many = fit_openskill(wins("a>b")), fit_openskill(wins(*["a>b", "b>a"] * 200))

    assert few.parameters["prior_error"] == pytest.approx(2**0.5)
    assert few.strengths[0] == -few.strengths[1] > 0
    assert many.errors[0] < few.errors[0] / 5


def test_a_tie_moves_both_towards_each_other() -> None:
    before, after = fit_openskill(wins("a>b")), fit_openskill(wins("a>b", "a=b"))

    assert 0 < after.strengths[0] < before.strengths[0]


def test_votes_count_in_the_order_of_time_if_asked() -> None:
    sample = replace(wins("a>b", "b>a", "b>a"), time=np.array([3.0, 1.0, 2.0]))

    assert fit_openskill(sample).strengths[0] != fit_openskill(sample, by_time=True).strengths[0]


def test_what_the_library_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="no weights"):
        fit_openskill(replace(wins("a>b"), weight=np.array([2.0])))
    with pytest.raises(ValueError, match="not own"):
        fit_openskill(wins("a>b"), both_bad=BothBad.OWN)


def test_a_missing_library_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openskill.models", None)

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fschat\[leaderboard\]'"):
        fit_openskill(wins("a>b"))
