"""Vectors → groups, by scikit-learn, the largest group first. The same vectors and seed give the same groups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastchat.core.errors import SetupError
from fastchat.ranking.comparisons import Floats

Algorithm: TypeAlias = Literal["kmeans", "aggcls", "HDBSCAN"]
Groups: TypeAlias = NDArray[np.int64]

NOISE = -1  # of HDBSCAN: what is in no group
SMALLEST = 10  # members of a group that HDBSCAN finds
_MOST_AT_ONCE = 10_000  # agglomeration holds all distances: 400 MB at so many
_STARTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    group: Groups  # (n,), from 0; NOISE where there is none
    centres: Floats  # (groups, size)
    similarity: Floats  # (n,) cosine between a vector and its group's centre; 0 for noise

    def __len__(self) -> int:
        return len(self.centres)

    def members(self, group: int) -> Groups:
        """Places of a group's vectors, the most central one first."""
        places = np.flatnonzero(self.group == group)
        return places[np.argsort(-self.similarity[places], kind="stable")]

    @property
    def noise(self) -> int:
        return int((self.group == NOISE).sum())


def cluster(vectors: Floats, algorithm: Algorithm, count: int, seed: int) -> Clusters:
    """
    Raises:
        SetupError: there are fewer vectors than groups, or no groups in them.
    """
    if len(vectors) < (needed := SMALLEST if algorithm == "HDBSCAN" else count):
        raise SetupError(
            f"There are {len(vectors)} different prompts, too few for {algorithm} with {needed} "
            f"{'in a group' if algorithm == 'HDBSCAN' else 'groups'}. Give more, or a smaller --num-clusters."
        )
    found = _ALGORITHMS[algorithm](vectors, count, seed)
    if not (found != NOISE).any():
        raise SetupError(f"HDBSCAN finds no groups of {SMALLEST} prompts or more; try --cluster-alg kmeans.")
    return _sorted(vectors, found)


def _kmeans(vectors: Floats, count: int, seed: int) -> Groups:
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(count, n_init=_STARTS, random_state=seed).fit(vectors).labels_, dtype=np.int64)


def _agglomerated(vectors: Floats, count: int, seed: int) -> Groups:
    """Of more vectors than it can take, a sample is grouped, and the others go to the nearest centre."""
    from sklearn.cluster import AgglomerativeClustering

    sample = np.arange(len(vectors))
    if len(vectors) > max(_MOST_AT_ONCE, count):
        sample = np.random.default_rng(seed).choice(len(vectors), max(_MOST_AT_ONCE, count), replace=False)
    found = AgglomerativeClustering(count).fit(vectors[sample]).labels_
    if len(sample) == len(vectors):
        return np.asarray(found, dtype=np.int64)
    centres = np.array([vectors[sample[found == group]].mean(axis=0) for group in range(count)])
    distances = (centres**2).sum(axis=1) - 2 * vectors @ centres.T  # but for what is the same for all centres
    return np.asarray(distances.argmin(axis=1), dtype=np.int64)


def _by_density(vectors: Floats, count: int, seed: int) -> Groups:
    from sklearn.cluster import HDBSCAN

    return np.asarray(HDBSCAN(min_cluster_size=SMALLEST, copy=True).fit(vectors).labels_, dtype=np.int64)


_ALGORITHMS: Mapping[Algorithm, Callable[[Floats, int, int], Groups]] = {
    "kmeans": _kmeans,
    "aggcls": _agglomerated,
    "HDBSCAN": _by_density,
}


def _sorted(vectors: Floats, found: Groups) -> Clusters:
    names, sizes = np.unique(found[found != NOISE], return_counts=True)
    order = names[np.argsort(-sizes, kind="stable")]
    group = np.full(len(found), NOISE, dtype=np.int64)
    for number, name in enumerate(order):
        group[found == name] = number
    centres = np.array([vectors[group == number].mean(axis=0) for number in range(len(order))])
    return Clusters(group, centres, _similarity(vectors, centres, group))


def _similarity(vectors: Floats, centres: Floats, group: Groups) -> Floats:
    own = centres[group]
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(own, axis=1)
    cosines = (vectors * own).sum(axis=1) / np.where(lengths == 0, 1, lengths)
    return np.where(group == NOISE, 0.0, cosines)
