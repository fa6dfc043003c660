"""Which beginnings of prompts a model server would still hold, as vLLM keeps them: in blocks, least recently used out.

A block is known by all that stands before it, so a hit always begins at the first token.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

BLOCK = 16  # tokens


class PrefixCache:
    def __init__(self, capacity_tokens: int) -> None:
        self._capacity = capacity_tokens // BLOCK
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def match(self, tokens: Sequence[int]) -> int:
        """How many of the first tokens are held. Never all: the last one has to be run to get an answer."""
        hit = 0
        for block in _blocks(tokens[:-1]):
            if block not in self._blocks:
                break
            hit += BLOCK
        return hit

    def add(self, tokens: Sequence[int]) -> None:
        # Touched from the end, so that the beginning, which others share, goes last.
        for block in reversed(list(_blocks(tokens))):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)


def _blocks(tokens: Sequence[int]) -> Iterator[int]:
    chain = 0
    for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
        chain = hash((chain, *tokens[start : start + BLOCK]))
        yield chain
