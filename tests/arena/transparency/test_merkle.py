"""The tree against RFC 6962's published vectors, its definition, pymerkle, and laws that hold for every size."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from fastchat.arena.transparency.merkle import (
    EMPTY_ROOT,
    Frontier,
    MerkleTree,
    hash_leaf,
    hash_node,
    verify_consistency,
    verify_inclusion,
)
from fastchat.core.errors import InvalidRequest

# The inputs, roots and proofs that certificate transparency's reference implementation publishes.
INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = [  # index, size, path
    (0, 1, []),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
]
CONSISTENCY = [  # old size, new size, path
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]

sizes = st.integers(1, 200)


@st.composite
def two_sizes(draw: st.DrawFn) -> tuple[int, int]:
    new = draw(sizes)
    return draw(st.integers(1, new)), new


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(sizes)
    return draw(st.integers(0, size - 1)), size


def leaf_hashes(count: int) -> list[bytes]:
    return [hash_leaf(number.to_bytes(4)) for number in range(count)]


TREE = MerkleTree(leaf_hashes(200))  # only read


def flipped(value: bytes, bit: int) -> bytes:
    bit %= 8 * len(value)
    return (int.from_bytes(value) ^ (1 << bit)).to_bytes(len(value))


def split(width: int) -> int:
    """The RFC's k, by its words: the largest power of two smaller than n."""
    k = 1
    while 2 * k < width:
        k *= 2
    return k


def defined_root(hashes: list[bytes]) -> bytes:
    if len(hashes) <= 1:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    k = split(len(hashes))
    return hash_node(defined_root(hashes[:k]), defined_root(hashes[k:]))


def defined_inclusion(index: int, hashes: list[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if index < k:
        return [*defined_inclusion(index, hashes[:k]), defined_root(hashes[k:])]
    return [*defined_inclusion(index - k, hashes[k:]), defined_root(hashes[:k])]


def defined_consistency(old_size: int, hashes: list[bytes], is_known: bool = True) -> list[bytes]:
    if old_size == len(hashes):
        return [] if is_known else [defined_root(hashes)]
    k = split(len(hashes))
    if old_size <= k:
        return [*defined_consistency(old_size, hashes[:k], is_known), defined_root(hashes[k:])]
    return [*defined_consistency(old_size - k, hashes[k:], False), defined_root(hashes[:k])]


def test_published_roots() -> None:
    tree = MerkleTree(hash_leaf(entry) for entry in INPUTS)
    assert [tree.root(size).hex() for size in range(9)] == ROOTS
    assert EMPTY_ROOT.hex() == ROOTS[0]


def test_the_oracle_hashes_as_the_rfc_does() -> None:
    oracle = InmemoryTree(algorithm="sha256")
    for entry in INPUTS:
        oracle.append_entry(entry)
    assert [oracle.get_root(size).hex() for size in range(1, 9)] == ROOTS[1:]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_published_inclusion(index: int, size: int, path: list[str]) -> None:
    tree = MerkleTree(hash_leaf(entry) for entry in INPUTS)
    hashes = [bytes.fromhex(text) for text in path]
    assert tree.inclusion_path(index, size) == hashes
    assert verify_inclusion(hash_leaf(INPUTS[index]), index, size, hashes, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old_size", "new_size", "path"), CONSISTENCY)
def test_published_consistency(old_size: int, new_size: int, path: list[str]) -> None:
    tree = MerkleTree(hash_leaf(entry) for entry in INPUTS)
    hashes = [bytes.fromhex(text) for text in path]
    assert tree.consistency_path(old_size, new_size) == hashes
    old_root, new_root = bytes.fromhex(ROOTS[old_size]), bytes.fromhex(ROOTS[new_size])
    assert verify_consistency(old_size, new_size, hashes, old_root, new_root)


@settings(deadline=None, max_examples=60)
@given(entries=st.lists(st.binary(max_size=40), min_size=1, max_size=70), data=st.data())
def test_agrees_with_pymerkle(entries: list[bytes], data: st.DataObject) -> None:
    tree = MerkleTree(hash_leaf(entry) for entry in entries)
    oracle = InmemoryTree(algorithm="sha256")
    oracle.append_entries(entries)
    size = data.draw(st.integers(1, len(entries)))
    index = data.draw(st.integers(0, size - 1))

    assert tree.root(size) == oracle.get_root(size)
    assert tree.leaf_hash(index) == oracle.get_leaf(index + 1)
    assert tree.inclusion_path(index, size) == oracle.prove_inclusion(index + 1, size).path[1:]


@settings(deadline=None)
@given(place=places())
def test_inclusion_is_as_defined_and_verifies(place: tuple[int, int]) -> None:
    index, size = place
    path = TREE.inclusion_path(index, size)
    assert path == defined_inclusion(index, leaf_hashes(size))
    assert verify_inclusion(TREE.leaf_hash(index), index, size, path, TREE.root(size))


@settings(deadline=None)
@given(pair=two_sizes())
def test_consistency_is_as_defined_and_verifies(pair: tuple[int, int]) -> None:
    old, new = pair
    path = TREE.consistency_path(old, new)
    assert path == defined_consistency(old, leaf_hashes(new))
    assert verify_consistency(old, new, path, TREE.root(old), TREE.root(new))


@settings(deadline=None)
@given(place=places(), bit=st.integers(0), which=st.integers(0))
def test_no_bit_of_an_inclusion_proof_can_be_flipped(place: tuple[int, int], bit: int, which: int) -> None:
    index, size = place
    values = [TREE.leaf_hash(index), TREE.root(size), *TREE.inclusion_path(index, size)]
    which %= len(values)
    values[which] = flipped(values[which], bit)
    assert not verify_inclusion(values[0], index, size, values[2:], values[1])


@settings(deadline=None)
@given(pair=two_sizes(), bit=st.integers(0), which=st.integers(0))
def test_no_bit_of_a_consistency_proof_can_be_flipped(pair: tuple[int, int], bit: int, which: int) -> None:
    old, new = pair
    values = [TREE.root(old), TREE.root(new), *TREE.consistency_path(old, new)]
    which %= len(values)
    values[which] = flipped(values[which], bit)
    assert not verify_consistency(old, new, values[2:], values[0], values[1])


@settings(deadline=None)
@given(place=places(), other=st.integers(-3, 210))
def test_inclusion_fails_for_any_other_index(place: tuple[int, int], other: int) -> None:
    index, size = place
    path = TREE.inclusion_path(index, size)
    holds = verify_inclusion(TREE.leaf_hash(index), other, size, path, TREE.root(size))
    assert holds == (other == index)


@settings(deadline=None)
@given(place=places(), other=st.integers(-3, 200))
def test_inclusion_fails_against_the_root_of_any_other_size(place: tuple[int, int], other: int) -> None:
    index, size = place
    path = TREE.inclusion_path(index, size)
    root = TREE.root(other) if other >= 0 else TREE.root(size)
    assert verify_inclusion(TREE.leaf_hash(index), index, other, path, root) == (other == size)


@settings(deadline=None)
@given(pair=two_sizes(), other=st.integers(-3, 200))
def test_consistency_fails_with_any_other_size(pair: tuple[int, int], other: int) -> None:
    old, new = pair
    path = TREE.consistency_path(old, new)
    root = TREE.root(other) if other >= 0 else TREE.root(old)
    holds = verify_consistency(other, new, path, root, TREE.root(new))
    assert holds == (other == old or (other == new and not path) or (other == 0 and not path))
    holds = verify_consistency(old, other, path, TREE.root(old), root)
    assert holds == (other == new or (other == old and not path))


@settings(deadline=None)
@given(pair=two_sizes(), surplus=st.binary(min_size=32, max_size=32))
def test_a_path_is_neither_longer_nor_shorter(pair: tuple[int, int], surplus: bytes) -> None:
    old, new = pair
    path = TREE.consistency_path(old, new)
    assert not verify_consistency(old, new, [*path, surplus], TREE.root(old), TREE.root(new))
    assert not path or not verify_consistency(old, new, path[:-1], TREE.root(old), TREE.root(new))
    path = TREE.inclusion_path(old - 1, new)
    assert not verify_inclusion(TREE.leaf_hash(old - 1), old - 1, new, [*path, surplus], TREE.root(new))
    assert not path or not verify_inclusion(TREE.leaf_hash(old - 1), old - 1, new, path[:-1], TREE.root(new))


def test_a_path_has_the_shape_of_the_sizes_it_is_for() -> None:
    tree = MerkleTree(leaf_hashes(8))
    assert not verify_inclusion(tree.leaf_hash(0), 0, 4, tree.inclusion_path(0, 2), tree.root(2))
    assert not verify_inclusion(tree.leaf_hash(3), 1, 2, tree.inclusion_path(3, 4), tree.root(4))
    assert not verify_consistency(2, 8, tree.consistency_path(2, 4), tree.root(2), tree.root(4))
    assert not verify_consistency(3, 4, tree.consistency_path(7, 8), tree.root(7), tree.root(8))


def test_a_node_cannot_pass_for_a_leaf() -> None:
    left, right = leaf_hashes(2)
    assert hash_leaf(left + right) != hash_node(left, right)


def test_parts_of_a_path_that_are_no_hashes_are_refused() -> None:
    tree = MerkleTree(leaf_hashes(4))
    first, second = tree.inclusion_path(0)
    assert not verify_inclusion(tree.leaf_hash(0), 0, 4, [first[:31], second[:1] + second], tree.root())
    shifted = tree.leaf_hash(0) + first[:1]  # together with the rest of `first` it is the same 64 bytes
    assert not verify_inclusion(shifted, 0, 4, [first[1:], second], tree.root())
    assert not verify_consistency(2, 4, [b""], tree.root(2), tree.root())


def test_every_log_continues_the_empty_one() -> None:
    assert verify_consistency(0, 5, TREE.consistency_path(0, 5), EMPTY_ROOT, TREE.root(5))
    assert verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    assert not verify_consistency(0, 5, [], TREE.root(5), TREE.root(5))
    assert not verify_consistency(0, 5, [EMPTY_ROOT], EMPTY_ROOT, TREE.root(5))
    assert not verify_consistency(0, 0, [], TREE.root(1), TREE.root(1))


@settings(deadline=None)
@given(batches=st.lists(st.integers(0, 20), max_size=8))
def test_appending_in_any_batches_gives_the_same_tree(batches: list[int]) -> None:
    hashes = leaf_hashes(sum(batches))
    tree, frontier = MerkleTree(), Frontier()
    done = 0
    for batch in batches:
        tree.extend(hashes[done : done + batch])
        done += batch
    for leaf_hash in hashes:
        frontier.append(leaf_hash)
    assert tree.size == frontier.size == len(hashes)
    assert tree.root() == frontier.root() == defined_root(hashes)


@settings(deadline=None)
@given(sizes=two_sizes(), more=st.integers(0, 40))
def test_a_tree_that_was_taken_back_goes_on_as_if_nothing_had_been(sizes: tuple[int, int], more: int) -> None:
    kept, size = sizes
    tree = MerkleTree(leaf_hashes(size))
    tree.truncate(kept)
    others = [hash_leaf(b"other" + number.to_bytes(4)) for number in range(more)]
    tree.extend(others)
    assert tree.root() == defined_root(leaf_hashes(kept) + others)
    assert tree.inclusion_path(kept - 1) == defined_inclusion(kept - 1, leaf_hashes(kept) + others)


def test_append_tells_the_index() -> None:
    tree = MerkleTree()
    assert [tree.append(leaf_hash) for leaf_hash in leaf_hashes(3)] == [0, 1, 2]


def test_what_is_not_there_is_refused_in_words() -> None:
    tree = MerkleTree(leaf_hashes(3))
    for ask in (
        lambda: tree.root(4),
        lambda: tree.inclusion_path(3),
        lambda: tree.inclusion_path(1, 1),
        lambda: tree.inclusion_path(-1),
        lambda: tree.inclusion_path(0, -1),
        lambda: tree.consistency_path(3, 2),
        lambda: tree.consistency_path(-1),
        lambda: tree.consistency_path(1, 4),
        lambda: tree.leaf_hash(3),
        lambda: tree.truncate(4),
    ):
        with pytest.raises(InvalidRequest, match=r"\d"):
            ask()
    with pytest.raises(ValueError, match="32 bytes"):
        tree.append(b"short")
    assert tree.size == 3


def test_memory_is_64_bytes_a_leaf() -> None:
    tree = MerkleTree(hashlib.sha256(number.to_bytes(4)).digest() for number in range(1 << 14))
    assert sum(map(len, tree._levels)) == 64 * (1 << 14) - 32
