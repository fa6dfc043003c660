"""Who met whom and who beat whom: which strengths votes can compare at all, and which they leave without a bound."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from fastchat.ranking.comparisons import Codes, Floats, Mask
from fastchat.ranking.results import Unbounded


def components(worth: Floats, votes: NDArray[np.int64]) -> Codes:
    """(models,): models of one component met, directly or through others. 0 has most votes.

    `worth` (models, models) is above 0 where the row's model won or drew against the column's; `votes` are those of
    each model.
    """
    _, labels = connected_components(csr_array(worth), directed=False)
    return _numbered(labels, votes.astype(np.float64))


def strong_parts(worth: Floats) -> Codes:
    """(models,): two models of one part reach each other along wins. Part 0 holds most of the votes within parts."""
    _, labels = connected_components(csr_array(worth), directed=True, connection="strong")
    same = labels[:, None] == labels
    return _numbered(labels, (worth * same).sum(axis=1))


def unbounded(worth: Floats, component: Codes) -> NDArray[np.int8]:
    """(models,) of Unbounded: which strengths a fit without a ridge would send to infinity, and which way.

    A component's core is the part with most votes within. A model is above if it reaches the core along wins and the
    core does not reach it, below if it is the other way round. Where there is neither way, or no core because no two
    models reach each other, it is above if it reaches more models than reach it, and below if fewer.
    """
    signs = np.full(len(worth), Unbounded.NO, np.int8)
    part = strong_parts(worth)
    for members in members_of(component):
        numbers, places = np.unique(part[members], return_inverse=True)
        if len(numbers) > 1:
            signs[members] = _signs(worth[np.ix_(members, members)], places)[places]
    return signs


def is_one_way(worth: Floats, component: Codes) -> Mask:
    """(models,): in its component not all models reach each other along wins, so no finite strengths fit best."""
    parts = np.unique(np.stack([component, strong_parts(worth)]), axis=1)[0]
    result: Mask = (np.bincount(parts) > 1)[component]
    return result


def members_of(component: Codes) -> list[NDArray[np.int64]]:
    order = np.argsort(component, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(component[order])) + 1)


def _signs(worth: Floats, part: NDArray[np.int64]) -> NDArray[np.int8]:
    """(parts,) of Unbounded; part 0 holds most of the votes within parts."""
    sizes = np.bincount(part)
    winners, losers = np.nonzero(worth)
    beats = np.eye(len(sizes), dtype=np.bool_)
    beats[part[winners], part[losers]] = True
    reaches = _closure(beats)
    signs: NDArray[np.int8] = np.sign(reaches @ sizes - reaches.T @ sizes).astype(np.int8)
    if sizes[0] > 1:
        to_core, from_core = reaches[:, 0], reaches[0]
        signs[to_core] = Unbounded.ABOVE
        signs[from_core] = Unbounded.BELOW
        signs[0] = Unbounded.NO
    return signs


def _closure(beats: Mask) -> Mask:
    """Along any number of wins; `beats` has its diagonal set."""
    while True:
        further: Mask = (beats.astype(np.float32) @ beats.astype(np.float32)) > 0
        if np.array_equal(further, beats):
            return beats
        beats = further


def _numbered(labels: NDArray[np.int32], votes: Floats) -> Codes:
    """The same sets; first those with most votes, and of equal ones the one whose first model comes first."""
    _, first = np.unique(labels, return_index=True)
    order = np.lexsort((first, -np.bincount(labels, votes)))
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return place[labels]
