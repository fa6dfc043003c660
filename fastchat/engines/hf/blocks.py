"""Who has which block of the cache, and which blocks hold a beginning that others may use as well. No tensors here."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

PADDING = 0  # the block that nobody owns: rows of a table are filled up with it

_Place: TypeAlias = tuple[int, tuple[int, ...]]  # the beginning it follows, and the block's own tokens


@dataclass(frozen=True, slots=True)
class Beginning:
    """A run of whole blocks from the first token on. Its number is never used again, so a match is never a mix-up."""

    number: int
    block: int


class BlockPool:
    def __init__(self, count: int, size: int) -> None:
        self.size = size  # tokens in a block
        self._free = list(range(count - 1, PADDING, -1))
        self._users = [0] * count
        self._known: dict[_Place, Beginning] = {}
        self._place: dict[int, _Place] = {}  # of the blocks in `_known`
        self._idle: OrderedDict[int, None] = OrderedDict()  # known, used by nobody; the longest idle first
        self._numbers = 0

    @property
    def available(self) -> int:
        return len(self._free) + len(self._idle)

    def take(self) -> int:
        """
        Raises:
            IndexError: all blocks are in use.
        """
        block = self._free.pop() if self._free else self._forget_oldest()
        self._users[block] = 1
        return block

    def release(self, blocks: Sequence[int]) -> None:
        for block in reversed(blocks):  # the end of a text is of less use to others than its beginning
            self._users[block] -= 1
            if self._users[block] == 0:
                if block in self._place:
                    self._idle[block] = None
                else:
                    self._free.append(block)

    def find(self, root: int, tokens: Sequence[int]) -> list[Beginning]:
        """The blocks of the longest known beginning of `tokens`; they are taken."""
        found: list[Beginning] = []
        for start in range(0, len(tokens) - self.size + 1, self.size):
            after = found[-1].number if found else root
            beginning = self._known.get((after, tuple(tokens[start : start + self.size])))
            if beginning is None:
                break
            self._users[beginning.block] += 1
            self._idle.pop(beginning.block, None)
            found.append(beginning)
        return found

    def publish(self, after: int, tokens: Sequence[int], block: int) -> int:
        """A block is full and will not change: others may use it. Returns the number of the beginning it ends."""
        place = (after, tuple(tokens))
        if place not in self._known:
            self._numbers += 1
            self._known[place] = Beginning(self._numbers, block)
            self._place[block] = place
        return self._known[place].number

    def _forget_oldest(self) -> int:
        block, _ = self._idle.popitem(last=False) if self._idle else _no_block()
        del self._known[self._place.pop(block)]
        return block


def _no_block() -> tuple[int, None]:
    raise IndexError("All blocks of the cache are in use.")
