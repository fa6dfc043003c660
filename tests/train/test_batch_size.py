"""An update learns from as many conversations as was asked for."""

import pytest

from fastchat.train.batch_size import BatchSize, fit


@pytest.mark.parametrize(
    ("wanted", "per_row", "processes", "most", "size"),
    [
        (128, 1.0, 4, 2, BatchSize(2, 16)),  # FastChat's own line
        (128, 2.0, 4, 2, BatchSize(2, 8)),  # two conversations a row: half as many rows
        (128, 2.06, 4, 2, BatchSize(2, 8)),
        (128, 20.0, 4, 2, BatchSize(2, 1)),
        (128, 100.0, 4, 2, BatchSize(1, 1)),  # no less than a row a process
        (12, 1.0, 1, 5, BatchSize(4, 3)),
    ],
)
def test_rows_follow_from_conversations(
    wanted: int, per_row: float, processes: int, most: int, size: BatchSize
) -> None:
    assert fit(wanted, per_row, processes, most) == size


def test_what_is_learned_from_is_close_to_what_was_wanted() -> None:
    for per_row in (1.0, 1.3, 2.06, 3.7):
        size = fit(128, per_row, 4, 2)
        assert abs(size.conversations(per_row, 4) - 128) <= 4 * per_row * 2
