"""Rows that samples share."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.train.encoding import Sample
from fastchat.train.packing import Numbers, PackedRows, fill_rows, share


class _Samples:
    """Of these lengths; each holds its own number."""

    def __init__(self, lengths: Numbers) -> None:
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Sample:
        length = int(self.lengths[index])
        return Sample(np.full(length, index), np.ones(length, dtype=np.bool_))


@pytest.fixture(scope="module")
def conversations() -> _Samples:
    """As long as ShareGPT's, split at 2048: mean about 990 tokens."""
    whole = np.random.default_rng(0).lognormal(6.75, 1.1, 3000).astype(np.int64) + 20
    return _Samples(np.concatenate([[*[2048] * (length // 2048), length % 2048 or 1] for length in whole]))


def test_next_to_nothing_is_padding(conversations: _Samples) -> None:
    assert PackedRows(conversations, 2048).efficiency >= 0.99


@given(st.lists(st.integers(1, 50), max_size=60))
def test_every_sample_stands_in_one_row_and_rows_have_room(lengths: list[int]) -> None:
    rows = PackedRows(_Samples(np.array(lengths, dtype=np.int64)), 50)

    members = [rows.members(row) for row in range(len(rows))]

    assert sorted(chain.from_iterable(members)) == list(range(len(lengths)))
    assert all(0 < sum(lengths[number] for number in row) <= 50 for row in members)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_each_goes_to_the_fullest_row_with_room(lengths: list[int]) -> None:
    lengths.sort(reverse=True)
    filled: list[int] = []
    expected = []
    for length in lengths:
        fitting = [used for used in filled if used + length <= 50]
        place = filled.index(max(fitting)) if fitting else len(filled)
        filled[place:] = [filled[place] + length, *filled[place + 1 :]] if fitting else [length]
        expected.append(place)

    found = fill_rows(np.array(lengths, dtype=np.int64), 50)

    by_row = [sum(length for length, row in zip(lengths, found.tolist(), strict=True) if row == r) for r in set(found)]
    assert sorted(by_row) == sorted(filled)
    assert len(filled) == found.max() + 1


def test_rows_are_drawn_anew_in_each_epoch_and_the_same_for_a_seed(conversations: _Samples) -> None:
    def members(seed: int, epoch: int) -> list[list[int]]:
        rows = PackedRows(conversations, 2048, seed)
        rows.set_epoch(epoch)
        return [rows.members(row) for row in range(len(rows))]

    assert members(1, 1) == members(1, 1)
    assert members(1, 1) != members(1, 2)
    assert members(1, 1) != members(2, 1)
    assert len(members(1, 1)) == len(members(2, 5))


def test_a_row_holds_its_samples() -> None:
    rows = PackedRows(_Samples(np.array([3, 5, 2])), 5)

    assert sorted([sample.ids.tolist() for sample in rows[at]] for at in range(2)) == [[[0] * 3, [2] * 2], [[1] * 5]]


def test_processes_get_as_many_batches_each() -> None:
    batches = [list(share(range(10), rank, 4, 2)) for rank in range(4)]

    assert batches[0] == [[0, 1], [8, 9]]
    assert batches[1] == [[2, 3], [0, 1]]
    assert {len(each) for each in batches} == {2}
