import math

import numpy as np
import pytest

from fastchat.ranking.comparisons import Floats
from fastchat.ranking.newton import Derivatives, minimum, solve


def test_a_parabola_takes_one_step() -> None:
    curvature, lowest = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([5.0, -7.0])
    asked = []

    def parabola(at: Floats) -> Derivatives:
        asked.append(at)
        away = at - lowest
        return Derivatives(float(away @ curvature @ away) / 2, curvature @ away, curvature)

    np.testing.assert_allclose(minimum(parabola, np.zeros(2), votes=1), lowest, atol=1e-12)
    assert len(asked) == 2


def test_steps_that_would_go_up_are_shortened() -> None:
    def bowl(at: Floats) -> Derivatives:
        """From 3, whole steps of Newton's go to -27, 19683 and so on."""
        root = math.sqrt(1 + at[0] ** 2)
        return Derivatives(root, at / root, np.array([[root**-3]]))

    assert minimum(bowl, np.array([3.0]), votes=1) == pytest.approx([0], abs=1e-9)


def test_it_ends_where_only_rounding_errors_are_left() -> None:
    noise = np.random.default_rng(0)

    def rough(at: Floats) -> Derivatives:
        away = at - 1
        gradient = np.sinh(away) + noise.normal(0, 1e-9, 1)
        return Derivatives(math.cosh(away[0]), gradient, np.cosh(away)[:, None])

    assert minimum(rough, np.zeros(1), votes=1e6) == pytest.approx([1], abs=1e-7)


def test_what_falls_for_ever_is_refused() -> None:
    def slide(at: Floats) -> Derivatives:
        height = math.exp(-at[0])
        return Derivatives(height, np.array([-height]), np.array([[height]]))

    with pytest.raises(ValueError, match="no optimum"):
        minimum(slide, np.zeros(1), votes=1)


def test_a_curvature_that_rounding_made_singular_is_solved() -> None:
    # The second pivot is -1e-17 where it should be 0.
    curvature = np.array([[1.0, 1.0], [1.0, 1.0 - 1e-16]])
    assert np.isfinite(solve(curvature, np.array([1.0, 1.0]))).all()


@pytest.mark.parametrize("diagonal", [[1.0, -1.0], [1.0, np.nan], [1.0, 0.0]])
def test_a_curvature_that_points_down_is_refused(diagonal: list[float]) -> None:
    with pytest.raises(ValueError, match="too far apart"):
        solve(np.diag(diagonal), np.ones(2))
