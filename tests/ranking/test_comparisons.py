from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fastchat.ranking.comparisons import NOBODY, Comparisons, Outcome, comparisons, encode
from tests.ranking.samples import drawn, of_rows


def full() -> Comparisons:
    """Every column is there."""
    return replace(
        of_rows(
            ("b", "a", Outcome.LEFT), ("c", "b", Outcome.TIE), ("a", "c", Outcome.BOTH_BAD), weight=[1.0, 2.0, 0.5]
        ),
        voter=np.array([0, NOBODY, 1], np.int32),
        time=np.array([10.0, 20.0, 30.0]),
        covariates={"length": np.array([0.1, -0.2, 0.3])},
    )


def test_codes_are_places_in_the_sorted_names() -> None:
    sample = of_rows(("zephyr", "alpaca", Outcome.LEFT), ("koala", "zephyr", Outcome.RIGHT))
    assert sample.models == ("alpaca", "koala", "zephyr")
    assert sample.left.tolist() == [2, 1]
    assert sample.right.tolist() == [0, 2]
    assert len(sample) == 2


def test_names_of_any_script_and_length_are_kept() -> None:
    models, (first, second) = encode([["é", "a" * 300], ["模型"]])
    assert models == ("a" * 300, "é", "模型")
    assert [models[at] for at in first] == ["é", "a" * 300]
    assert [models[at] for at in second] == ["模型"]


def test_no_comparisons_are_comparisons() -> None:
    assert len(comparisons([], [], [])) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"left": np.array([0, 1, 3], np.int32)}, "codes of models go from 0 to 2"),
        ({"right": np.array([-1, 1, 2], np.int32)}, "codes of models go from 0 to 2"),
        ({"right": np.array([0, 1], np.int32)}, "there are 3 comparisons"),
        ({"left": np.zeros((3, 1), np.int32)}, "one value a comparison"),
        ({"right": np.array([1, 0, 1], np.int32)}, "compared with itself"),
        ({"outcome": np.array([0, 1, 4], np.int8)}, "outcomes go from 0 to 3"),
        ({"outcome": np.array([0, 1, -1], np.int8)}, "outcomes go from 0 to 3"),
        ({"weight": np.array([1.0, 0.0, 1.0])}, "above 0"),
        ({"weight": np.array([1.0, np.nan, 1.0])}, "finite"),
        ({"weight": np.array([1.0, np.inf, 1.0])}, "finite"),
        ({"voter": np.array([1], np.int32)}, "there are 3 comparisons"),
        ({"time": np.array([1.0])}, "there are 3 comparisons"),
        ({"covariates": {"length": np.array([1.0])}}, "there are 3 comparisons"),
    ],
)
def test_wrong_columns_are_refused_in_words(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(full(), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [np.array([True, False, True]), np.array([0, 2])])
def test_selected_rows_take_all_columns_with_them(rows: np.ndarray) -> None:
    kept = full().select(rows)
    assert kept.models == ("a", "b", "c")
    assert kept.left.tolist() == [1, 0]
    assert kept.right.tolist() == [0, 2]
    assert kept.outcome.tolist() == [Outcome.LEFT, Outcome.BOTH_BAD]
    assert kept.weight is not None
    assert kept.weight.tolist() == [1.0, 0.5]
    assert kept.voter is not None
    assert kept.voter.tolist() == [0, 1]
    assert kept.time is not None
    assert kept.time.tolist() == [10.0, 30.0]
    assert kept.covariates["length"].tolist() == [0.1, 0.3]


def test_columns_that_are_not_there_stay_away() -> None:
    kept = drawn(3, 10).select(np.arange(5))
    assert (kept.weight, kept.voter, kept.time, kept.covariates) == (None, None, None, {})


def test_the_same_rows_have_the_same_digest() -> None:
    assert full().digest == full().digest
    assert len(full().digest) == 64


@pytest.mark.parametrize(
    "changed",
    [
        lambda it: replace(it, models=("a", "b", "d")),
        lambda it: replace(it, left=it.left[::-1].copy(), right=it.right[::-1].copy()),
        lambda it: replace(it, outcome=np.array([1, 2, 3], np.int8)),
        lambda it: replace(it, weight=None),
        lambda it: replace(it, weight=it.weight * 2),
        lambda it: replace(it, voter=None),
        lambda it: replace(it, time=it.time + 1),
        lambda it: replace(it, covariates={"headers": it.covariates["length"]}),
        lambda it: replace(it, covariates={"length": -it.covariates["length"]}),
        lambda it: replace(it, covariates={}),
        lambda it: it.select(np.array([0, 1])),
    ],
)
def test_the_digest_changes_with_anything_a_fit_could_read(changed: Callable[[Comparisons], Comparisons]) -> None:
    assert changed(full()).digest != full().digest
