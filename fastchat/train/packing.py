"""Packing: samples share rows of fixed capacity, so that next to nothing is padding.

Best-fit decreasing (Johnson 1973): the longest first, each to the fullest row that still has room. Rows depend on
lengths alone, so their number is the same in every epoch; which of equally long samples goes where, and the order of
rows, are drawn anew from the seed and the epoch.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastchat.train.encoding import Sample

Numbers: TypeAlias = NDArray[np.int64]


class Samples(Protocol):
    lengths: Numbers

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class PackedRows:
    """A torch dataset whose items are rows: lists of samples that together have at most `capacity` tokens.

    Trainer's sampler, sharding over processes and skipping on resume work as for any map-style dataset. Call
    `set_epoch` when an epoch begins (accelerate does it in one process, but not in several).
    """

    def __init__(self, samples: Samples, capacity: int, seed: int = 0) -> None:
        self.samples = samples
        self.capacity = capacity
        self.seed = seed
        row_of = fill_rows(np.sort(samples.lengths)[::-1], capacity)
        self._by_row = np.argsort(row_of, kind="stable")  # places in the order of lengths, row after row
        self._first = np.searchsorted(row_of[self._by_row], np.arange(row_of.max(initial=-1) + 2))
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        draw = np.random.default_rng((self.seed, epoch))
        shuffled = draw.permutation(len(self.samples))
        self._longest_first = shuffled[np.argsort(-self.samples.lengths[shuffled], kind="stable")]
        self._rows = draw.permutation(len(self))

    def __len__(self) -> int:
        return len(self._first) - 1

    def __getitem__(self, index: int) -> list[Sample]:
        return [self.samples[number] for number in self.members(index)]

    def members(self, index: int) -> list[int]:
        """The numbers of the samples in a row."""
        row = self._rows[index]
        places = self._by_row[self._first[row] : self._first[row + 1]]
        return [int(number) for number in self._longest_first[places]]

    @property
    def efficiency(self) -> float:
        """Real tokens by positions."""
        return float(self.samples.lengths.sum()) / (len(self) * self.capacity)


def fill_rows(lengths: Numbers, capacity: int) -> Numbers:
    """The row of each of these lengths, which are sorted, the longest first.

    A bit of `rooms` says that there are rows with so much room, so that the fullest one that will do is the lowest bit
    from the wanted length on.
    """
    assert not len(lengths) or lengths[0] <= capacity, "samples are cut to the capacity before they are packed"
    with_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = rows = 0
    found = np.empty(len(lengths), dtype=np.int64)
    for place, length in enumerate(lengths.tolist()):
        if fitting := rooms >> length:
            room = length + (fitting & -fitting).bit_length() - 1
            row = with_room[room].pop()
            if not with_room[room]:
                rooms ^= 1 << room
        else:
            room, row, rows = capacity, rows, rows + 1
        found[place] = row
        if left := room - length:
            with_room[left].append(row)
            rooms |= 1 << left
    return found


def share(items: Sequence[int], rank: int, world_size: int, batch_size: int = 1) -> Iterator[list[int]]:
    """The batches of one process, for loops without Trainer: as many for each, so the first items may come again."""
    step = world_size * batch_size
    padded = np.resize(np.asarray(items), -(-len(items) // step) * step)
    for first in range(rank * batch_size, len(padded), step):
        yield padded[first : first + batch_size].tolist()
