import numpy as np
import pytest

from fastchat.ranking.differences import STYLES, normalised_difference, style_differences

A, B = np.array([100.0, 300.0, 0.0, 50.0]), np.array([300.0, 100.0, 0.0, 50.0])


def test_the_published_difference_is_the_share_of_both_standardised() -> None:
    # -1/2, 1/2, 0 of nothing at all, 0: the mean is 0, the deviation the root of 1/8
    assert normalised_difference(A, B) == pytest.approx(np.array([-0.5, 0.5, 0, 0]) / np.sqrt(1 / 8))


def test_fastchat_adds_one_to_what_it_divides_by() -> None:
    share = np.array([-200 / 401, 200 / 401, 0, 0])

    assert normalised_difference(A, B, plus=1) == pytest.approx(share / share.std())


def test_the_mean_is_taken_off() -> None:
    differences = normalised_difference(np.array([3.0, 2.0, 1.0]), np.array([1.0, 1.0, 1.0]))

    share = np.array([1 / 2, 1 / 3, 0])
    assert differences == pytest.approx((share - share.mean()) / share.std())


def test_an_unknown_side_is_taken_as_the_mean_and_does_not_move_it() -> None:
    known = normalised_difference(A, B)

    assert normalised_difference(np.append(A, np.nan), np.append(B, 7)) == pytest.approx(np.append(known, 0))


@pytest.mark.parametrize(
    ("left", "right"),
    [([0.0, 0.0], [0.0, 0.0]), ([2.0, 4.0], [1.0, 2.0]), ([np.nan], [1.0]), ([], [])],
    ids=["nothing", "always the same", "unknown", "no votes"],
)
def test_what_never_differs_is_zero(left: list[float], right: list[float]) -> None:
    assert list(normalised_difference(np.array(left), np.array(right))) == [0] * len(left)


def test_covariates_are_named_after_what_they_measure() -> None:
    columns = {f"{counted}_{side}": A if side == "a" else B for counted in STYLES.values() for side in "ab"}

    assert list(style_differences(columns)) == ["length", "headers", "lists", "bold"]
    del columns["bold_b"]
    assert "bold" not in style_differences(columns)
    assert style_differences(columns, plus=1)["length"] == pytest.approx(normalised_difference(A, B, plus=1))
