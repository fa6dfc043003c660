"""Weights rounded to four bits with one scale for 32 of them (GGUF's Q4_0).

18 bytes a block: scale f16 | 16 bytes, byte i = weight i + 8 in its low half, weight i + 16 + 8 in its high half
weight = scale * (number - 8), number in 0 … 15
"""

from typing import Any, TypeAlias

import numpy as np

BLOCK = 32
# Where on the grid of -8 … 7 a block's largest weight may come to lie. -8 uses the grid best; but where that weight
# stands alone, a finer or coarser grid serves the others better.
_PLACES = (-8.0, -7.0, -7.5, -8.5, -9.0, 7.0, 7.5, 8.0)
_BLOCKS_AT_A_TIME = 2**14  # bounds the memory of the search
Array: TypeAlias = np.ndarray[Any, Any]


def q4_0(weights: Array) -> Array:
    """Float weights, the last axis a multiple of 32 → bytes, with the least squared error that the search finds."""
    blocks = weights.reshape(-1, BLOCK)
    parts = [_rounded(blocks[at : at + _BLOCKS_AT_A_TIME]) for at in range(0, len(blocks), _BLOCKS_AT_A_TIME)]
    return np.concatenate(parts).reshape(*weights.shape[:-1], -1)


def _rounded(blocks: Array) -> Array:
    blocks = blocks.astype(np.float32)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)
    best_scale = np.zeros_like(largest)
    best_error = np.full_like(largest, np.inf)
    for place in _PLACES:
        numbers = _numbers(blocks, largest / np.float32(place))
        # Given the numbers, the scale with the least squared error is a quotient.
        norm = (numbers * numbers).sum(axis=1, keepdims=True)
        scale = np.divide((blocks * numbers).sum(axis=1, keepdims=True), norm, out=np.zeros_like(norm), where=norm > 0)
        scale = scale.astype(np.float16).astype(np.float32)
        error = ((blocks - scale * _numbers(blocks, scale)) ** 2).sum(axis=1, keepdims=True)
        is_better = error < best_error
        best_scale = np.where(is_better, scale, best_scale)
        best_error = np.where(is_better, error, best_error)
    return _packed(_numbers(blocks, best_scale), best_scale)


def _numbers(blocks: Array, scale: Array) -> Array:
    quotients = np.divide(blocks, scale, out=np.zeros_like(blocks), where=scale != 0)
    return np.clip(np.rint(quotients), -8, 7)


def _packed(numbers: Array, scale: Array) -> Array:
    shifted = (numbers + 8).astype(np.uint8)
    halves = shifted[:, : BLOCK // 2] | (shifted[:, BLOCK // 2 :] << 4)
    return np.concatenate([scale.astype(np.float16).view(np.uint8), halves], axis=1)
