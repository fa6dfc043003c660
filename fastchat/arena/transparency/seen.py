"""Which ids were there before, in logs too long to keep all ids: 12 to 24 bytes for each, where a set takes 80."""

import hashlib
from array import array

_FIRST_SLOTS = 1 << 10


class SeenIds:
    """Keeps 64 bits of a hash of each: the chance of a false alarm among ten million votes is 3 in a million."""

    def __init__(self) -> None:
        self._slots = _empty(_FIRST_SLOTS)
        self._count = 0

    def add(self, text: str) -> bool:
        """Whether it is the first of its kind."""
        mark = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) or 1  # 0 is a free slot
        at = self._slot(mark)
        if self._slots[at]:
            return False
        self._slots[at] = mark
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return True

    def _slot(self, mark: int) -> int:
        """Where the mark stands, or the free slot where it belongs."""
        slots = self._slots
        last = len(slots) - 1
        at = mark & last
        while slots[at] and slots[at] != mark:
            at = at + 1 & last
        return at

    def _grow(self) -> None:
        old, self._slots = self._slots, _empty(2 * len(self._slots))
        for mark in old:
            if mark:
                self._slots[self._slot(mark)] = mark


def _empty(slots: int) -> "array[int]":
    return array("Q", bytes(8 * slots))
