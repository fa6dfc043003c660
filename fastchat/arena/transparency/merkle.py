"""A Merkle tree that only grows, with proofs of inclusion and consistency, after RFC 9162, section 2.1.

Works on leaf hashes and holds 64 bytes a leaf: the leaves' and those of all complete subtrees. What is incomplete, at
the right edge, is folded when asked for, which takes at most one hash a level.

The verifying functions bind a proof to a root, not to a size: sizes must come from where the root came from, a signed
head. A path for index 0 of 3 leaves, say, has the shape of one for index 0 of 4.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice

from fastchat.core.errors import InvalidRequest

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

_PAIR_BYTES = 2 * HASH_BYTES
_NODE_PREFIX = b"\x01"
_BATCH = 1 << 16


def hash_leaf(content: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + content).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


class MerkleTree:
    """Level k holds one after another the roots of the complete subtrees of 2^k leaves.

    One thread adds; what lies within a size never changes, so others may ask about it meanwhile.
    """

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._levels = [bytearray()]
        self.extend(leaf_hashes)

    @property
    def size(self) -> int:
        return len(self._levels[0]) // HASH_BYTES

    def append(self, leaf_hash: bytes) -> int:
        """Gives the leaf's index."""
        self.extend((leaf_hash,))
        return self.size - 1

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        iterator = iter(leaf_hashes)
        while batch := list(islice(iterator, _BATCH)):
            if any(len(leaf_hash) != HASH_BYTES for leaf_hash in batch):
                raise ValueError(f"a leaf hash has {HASH_BYTES} bytes")
            self._levels[0] += b"".join(batch)
            self._complete()

    def truncate(self, size: int) -> None:
        """Takes back leaves whose transaction failed; only what no head that left this process covers."""
        self._check_size(size, "size")
        for height, level in enumerate(self._levels):
            del level[(size >> height) * HASH_BYTES :]

    def leaf_hash(self, index: int) -> bytes:
        self._check_index(index, self.size)
        return self._node(0, index)

    def root(self, size: int | None = None) -> bytes:
        size = self._check_size(size, "size")
        return self._subtree(0, size) if size else EMPTY_ROOT

    def inclusion_path(self, index: int, size: int | None = None) -> list[bytes]:
        """
        Raises:
            InvalidRequest: the tree has, or had at that size, no such leaf.
        """
        size = self._check_size(size, "size")
        self._check_index(index, size)
        path = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _left_width(end - start)
            if index < middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        return path[::-1]

    def consistency_path(self, old_size: int, new_size: int | None = None) -> list[bytes]:
        """Empty where nothing has to be shown: from no leaves, and between equal sizes.

        Raises:
            InvalidRequest: the sizes are not in order, or the tree is smaller.
        """
        new_size = self._check_size(new_size, "new_size")
        if not 0 <= old_size <= new_size:
            raise InvalidRequest(f"The old size is {old_size}; it can be 0 to {new_size}.", param="old_size")
        if old_size == 0:
            return []
        path = []
        start, end = 0, new_size
        while end != old_size:
            middle = start + _left_width(end - start)
            if old_size <= middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        if start > 0:  # else the old tree is one complete subtree, whose root the verifier has
            path.append(self._subtree(start, end))
        return path[::-1]

    def _complete(self) -> None:
        """Hashes every pair that has no parent."""
        sha256 = hashlib.sha256
        height = 0
        while len(self._levels[height]) >= _PAIR_BYTES:
            if height + 1 == len(self._levels):
                self._levels.append(bytearray())
            below, above = self._levels[height], self._levels[height + 1]
            pairs = below[2 * len(above) : len(below) - len(below) % _PAIR_BYTES]
            if not pairs:
                return
            starts = range(0, len(pairs), _PAIR_BYTES)
            above += b"".join([sha256(_NODE_PREFIX + pairs[at : at + _PAIR_BYTES]).digest() for at in starts])
            height += 1

    def _node(self, height: int, position: int) -> bytes:
        at = position * HASH_BYTES
        return bytes(self._levels[height][at : at + HASH_BYTES])

    def _subtree(self, start: int, end: int) -> bytes:
        """The root over leaves start..end-1, where `start` is aligned as RFC 9162 cuts its trees."""
        peaks = []
        while start < end:
            height = (end - start).bit_length() - 1
            peaks.append(self._node(height, start >> height))
            start += 1 << height
        return _fold(peaks)

    def _check_size(self, size: int | None, name: str) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise InvalidRequest(f"The {name} is {size}; the log has {self.size} votes.", param=name)
        return size

    def _check_index(self, index: int, size: int) -> None:
        if not 0 <= index < size:
            raise InvalidRequest(f"There is no vote {index} among {size}; the first is 0.", param="index")


class Frontier:
    """The right edge of a tree: enough to go on and to know the root, in one hash a level. For who only reads along."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf_hash: bytes) -> None:
        self._peaks.append(leaf_hash)
        complete = self.size
        while complete & 1:
            right = self._peaks.pop()
            self._peaks[-1] = hash_node(self._peaks[-1], right)
            complete >>= 1
        self.size += 1

    def root(self) -> bytes:
        return _fold(list(self._peaks)) if self._peaks else EMPTY_ROOT


def _left_width(width: int) -> int:
    """The largest power of two below `width`: where RFC 9162 cuts a tree in two."""
    return 1 << ((width - 1).bit_length() - 1)


def _fold(peaks: list[bytes]) -> bytes:
    root = peaks.pop()
    while peaks:
        root = hash_node(peaks.pop(), root)
    return root


def verify_inclusion(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162, 2.1.3.2."""
    if not 0 <= index < size or not _are_hashes([leaf_hash, root, *path]):
        return False
    at, last, computed = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            computed = hash_node(sibling, computed)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            computed = hash_node(computed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(old_size: int, new_size: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """RFC 9162, 2.1.4.2, which leaves out what needs no path: equal sizes, and the empty tree, which all continue."""
    if not 0 <= old_size <= new_size or not _are_hashes([old_root, new_root, *path]):
        return False
    if old_size == new_size:
        return not path and old_root == new_root and (old_size > 0 or old_root == EMPTY_ROOT)
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    hashes = list(path) if old_size & (old_size - 1) else [old_root, *path]
    if not hashes:
        return False
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = hash_node(sibling, old), hash_node(sibling, new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new = hash_node(new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
