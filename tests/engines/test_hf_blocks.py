"""Blocks of the cache have one owner, or several with the same beginning."""

import random

import pytest

pytest.importorskip("torch")

from fastchat.engines.hf.blocks import PADDING, BlockPool

SIZE = 4


def filled(pool: BlockPool, tokens: list[int], root: int = 0) -> list[int]:
    """Blocks of a sequence that has computed all this."""
    blocks = [pool.take() for _ in range(-(-len(tokens) // SIZE))]
    after = root
    for number in range(len(tokens) // SIZE):
        after = pool.publish(after, tokens[number * SIZE : (number + 1) * SIZE], blocks[number])
    return blocks


def found(pool: BlockPool, tokens: list[int], root: int = 0) -> list[int]:
    return [beginning.block for beginning in pool.find(root, tokens)]


def test_all_blocks_but_the_padding_are_given_out_once() -> None:
    pool = BlockPool(6, SIZE)
    assert sorted(pool.take() for _ in range(5)) == [1, 2, 3, 4, 5]
    assert PADDING == 0
    assert pool.available == 0
    with pytest.raises(IndexError):
        pool.take()


def test_the_longest_known_beginning_is_found() -> None:
    pool = BlockPool(20, SIZE)
    blocks = filled(pool, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert found(pool, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == blocks[:2]
    assert found(pool, [1, 2, 3, 4, 5, 6, 7, 0]) == blocks[:1]
    assert found(pool, [5, 6, 7, 8]) == []
    assert found(pool, [1, 2, 3]) == []


def test_the_same_tokens_after_another_beginning_are_not_the_same() -> None:
    pool = BlockPool(20, SIZE)
    filled(pool, [1, 1, 1, 1, 9, 9, 9, 9])
    other = filled(pool, [2, 2, 2, 2])
    assert found(pool, [2, 2, 2, 2, 9, 9, 9, 9]) == other
    assert found(pool, [1, 1, 1, 1], root=-1) == []


def test_what_is_shared_stays_until_its_last_user_has_left() -> None:
    pool = BlockPool(3, SIZE)
    blocks = filled(pool, [1, 2, 3, 4])
    assert found(pool, [1, 2, 3, 4]) == blocks
    pool.release(blocks)
    taken = pool.take()
    with pytest.raises(IndexError):
        pool.take()
    pool.release(blocks)
    assert pool.take() == blocks[0] != taken


def test_the_longest_unused_is_forgotten_first_and_ends_before_beginnings() -> None:
    pool = BlockPool(5, SIZE)
    old, young = filled(pool, [1] * 8), filled(pool, [2] * 8)
    pool.release(old)
    pool.release(young)
    assert [pool.take() for _ in range(3)] == [old[1], old[0], young[1]]
    assert found(pool, [1] * 8) == []
    assert found(pool, [2] * 8) == young[:1]


def test_nothing_is_lost_or_given_twice_in_a_long_life() -> None:
    pool, chance = BlockPool(30, SIZE), random.Random(5)
    running: list[list[int]] = []
    for _ in range(3000):
        tokens = [chance.randrange(2) for _ in range(chance.randrange(1, 20))]
        if chance.random() < 0.5 and running:
            pool.release(running.pop(chance.randrange(len(running))))
        elif pool.available > 6:
            shared = pool.find(0, tokens[:-1])
            after = shared[-1].number if shared else 0
            blocks = [beginning.block for beginning in shared]
            blocks += [pool.take() for _ in range(-(-len(tokens) // SIZE) - len(blocks))]
            for number in range(len(shared), len(tokens) // SIZE):
                after = pool.publish(after, tokens[number * SIZE : (number + 1) * SIZE], blocks[number])
            running.append(blocks)
        assert pool.available + len({block for blocks in running for block in blocks}) == 29
