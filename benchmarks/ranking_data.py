"""Votes to measure with, as Parquet: models that differ, are shown unequally often, and write in different styles."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

MODELS = 130
TIES = 0.25  # of these
BOTH_BAD = 0.4
VOTES_EACH = 20  # of a voter
DAY_VOTES = 10_000
# What a unit of the normalised difference is worth in log-odds, and how many of it an answer has.
STYLES = {"tokens": (0.2, 300.0), "headers": (0.03, 1.0), "lists": (0.06, 4.0), "bold": (0.03, 3.0)}
_SEED = 20261121
_AT_ONCE = 1_000_000

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def write_votes(file: Path, votes: int, *, with_style: bool = True, seed: int = _SEED) -> None:
    """The models are the same whatever the seed of the votes."""
    world = _World(np.random.default_rng(_SEED))
    rng = np.random.default_rng(seed)
    folder = file.with_suffix("")
    folder.mkdir()
    for number, start in enumerate(range(0, votes, _AT_ONCE)):
        part = world.votes(rng, min(_AT_ONCE, votes - start), votes, start, with_style=with_style)
        part.write_parquet(folder / f"{number:03}.parquet")
    parts = sorted(folder.iterdir())
    pl.scan_parquet(parts).sink_parquet(file, maintain_order=True)
    for part_file in parts:
        part_file.unlink()
    folder.rmdir()


class _World:
    def __init__(self, rng: np.random.Generator) -> None:
        self._names = pl.Series([f"organisation-{at % 17}/model-{at:03}-instruct" for at in range(MODELS)])
        self._strength = rng.normal(0, 1, MODELS)
        shown = rng.dirichlet(np.full(MODELS, 0.7)) + 1e-3
        self._shown = shown / shown.sum()
        self._verbosity = rng.normal(0, 0.4, MODELS)

    def votes(self, rng: np.random.Generator, size: int, of: int, start: int, *, with_style: bool) -> pl.DataFrame:
        left = rng.choice(MODELS, size, p=self._shown)
        right = rng.choice(MODELS - 1, size, p=None)
        right += right >= left
        styles = self._styles(rng, left, right) if with_style else {}
        odds = self._strength[left] - self._strength[right]
        for style, (worth, _) in STYLES.items() if with_style else ():
            a, b = (styles[f"{style}_{side}"] for side in "ab")
            odds += worth * np.divide(a - b, a + b, out=np.zeros(size), where=a + b > 0) / 0.4
        return pl.DataFrame(
            {
                "model_a": self._names.gather(left),
                "model_b": self._names.gather(right),
                "winner": _WINNERS.gather(_outcomes(rng, odds)),
                "judge": pl.Series(rng.integers(0, of // VOTES_EACH + 1, size)).cast(pl.String),
                "tstamp": 1.7e9 + (start + np.arange(size)) * 8.64,
                **styles,
            }
        )

    def _styles(self, rng: np.random.Generator, left: Integers, right: Integers) -> dict[str, Any]:
        return {
            f"{style}_{side}": rng.poisson(mean * np.exp(self._verbosity[models] + rng.normal(0, 0.6, len(models))))
            for style, (_, mean) in STYLES.items()
            for side, models in (("a", left), ("b", right))
        }


_WINNERS = pl.Series(["model_a", "model_b", "tie", "tie (bothbad)"])


def _outcomes(rng: np.random.Generator, odds: Floats) -> Integers:
    won = (rng.random(len(odds)) > 1 / (1 + np.exp(-odds))).astype(np.int64)
    tied = rng.random(len(odds)) < TIES
    return np.where(tied, 2 + (rng.random(len(odds)) < BOTH_BAD), won)
