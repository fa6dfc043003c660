"""Ratings by us, and by peers that are installed with us, from a Parquet file of votes to named ratings.

python -m benchmarks.ranking_ways bt|by-voter|bootstrap|style|build|days|evalica|choix FILE …
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.peers.stopwatch import report

Result: TypeAlias = Mapping[str, Any]
ROUNDS = 1000
BOTH_BAD = "tie (bothbad)"


def bt(files: Sequence[Path]) -> Result:
    """With sandwich errors, intervals and simultaneous rank sets, in constant memory."""
    from fastchat.arena.leaderboard.reading import stream_counts
    from fastchat.ranking.bradley_terry import fit_bradley_terry
    from fastchat.ranking.ranks import rank_sets

    fit = fit_bradley_terry(stream_counts(files))
    rank_sets(fit)
    return _rated(fit)


def bootstrapped(files: Sequence[Path]) -> Result:
    from fastchat.arena.leaderboard.reading import stream_counts
    from fastchat.ranking.bootstrap import bootstrap

    return _rated(bootstrap(stream_counts(files), rounds=ROUNDS))


def style(files: Sequence[Path]) -> Result:
    from fastchat.arena.leaderboard.reading import read_votes
    from fastchat.arena.leaderboard.vote_columns import FIGURES
    from fastchat.ranking.differences import style_differences
    from fastchat.ranking.style import fit_style

    votes = read_votes(files)
    figures = {name: votes.frame[name].to_numpy() for name in FIGURES if votes.has(name)}
    fit = fit_style(votes.comparisons(style_differences(figures), voters=False))
    return _rated(fit) | {"coefficients": {name: found.estimate for name, found in fit.coefficients.items()}}


def by_voter(files: Sequence[Path]) -> Result:
    """With errors clustered by voter."""
    from fastchat.arena.leaderboard.reading import read_votes
    from fastchat.ranking.bradley_terry import fit_bradley_terry
    from fastchat.ranking.clusters import clustered
    from fastchat.ranking.counts import Counts

    comparisons = read_votes(files).comparisons()
    fit = fit_bradley_terry(Counts.of(comparisons))
    return _rated(clustered(fit, comparisons, comparisons.voter))


def days(files: Sequence[Path]) -> Result:
    """The first file's counts are there; each further one is a day's votes, after which everything is computed anew."""
    from fastchat.arena.leaderboard.reading import stream_counts
    from fastchat.ranking.bradley_terry import fit_bradley_terry
    from fastchat.ranking.ranks import rank_sets

    counts = stream_counts(files[:1])
    fit = fit_bradley_terry(counts)
    took: dict[str, list[float]] = {"read_s": [], "fit_s": [], "ranks_s": []}
    for file in files[1:]:
        marks = [time.perf_counter()]
        counts += stream_counts([file])
        marks.append(time.perf_counter())
        fit = fit_bradley_terry(counts)
        rated = _rated(fit)
        marks.append(time.perf_counter())
        rank_sets(fit)
        marks.append(time.perf_counter())
        for name, begin, end in zip(took, marks, marks[1:], strict=False):
            took[name].append(end - begin)
    return rated | took


def build(files: Sequence[Path]) -> Result:
    """The command, which also counts pairs, compares neighbours, looks for bias and writes the board."""
    from fastchat.commands.leaderboard import main

    with tempfile.TemporaryDirectory() as folder:
        board = Path(folder) / "board.json"
        main(["build", "--votes", *map(str, files), "--output", str(board)])
        models = json.loads(board.read_text())["categories"]["overall"]["models"]
    return {"ratings": {model["name"]: model["rating"] for model in models}}


def _rated(fit: Any) -> Result:
    """Any: to import Estimates is part of the work."""
    from fastchat.ranking.intervals import interval
    from fastchat.ranking.results import Scale

    interval(fit)
    return {"ratings": dict(zip(fit.models, Scale().ratings(fit).tolist(), strict=True))}


def evalica(files: Sequence[Path]) -> Result:
    import polars as pl
    from evalica import Winner, bradley_terry

    table = pl.read_parquet(files, columns=["model_a", "model_b", "winner"])
    outcomes = {"model_a": Winner.X, "model_b": Winner.Y, "tie": Winner.Draw, BOTH_BAD: Winner.Draw}
    winners = [outcomes[label] for label in table["winner"].to_list()]
    scores = bradley_terry(table["model_a"].to_list(), table["model_b"].to_list(), winners).scores
    return {"ratings": _elo(scores.index, scores.to_numpy())}


def choix(files: Sequence[Path]) -> Result:
    """After our own counting: it starts from a matrix of wins."""
    from choix import ilsr_pairwise_dense

    from fastchat.arena.leaderboard.reading import stream_counts
    from fastchat.ranking.comparisons import Outcome

    counts = stream_counts(files)
    votes = counts.votes
    ties = votes[Outcome.TIE] + votes[Outcome.BOTH_BAD]
    wins = votes[Outcome.LEFT] + votes[Outcome.RIGHT].T + 0.5 * (ties + ties.T)
    import numpy as np

    return {"ratings": _elo(counts.models, np.exp(ilsr_pairwise_dense(wins, tol=1e-8)))}


def _elo(names: Sequence[str], scores: Any) -> dict[str, float]:
    """Of scores whose logarithms are the strengths. Any: an array"""
    import numpy as np

    strengths = np.log(scores)
    ratings = 1000 + 400 / np.log(10) * (strengths - strengths.mean())
    return dict(zip(map(str, names), ratings.tolist(), strict=True))


OURS = ("fastchat.arena.leaderboard.reading", "fastchat.ranking.bootstrap", "fastchat.ranking.style", "polars")
WAYS: Mapping[str, tuple[Callable[[Sequence[Path]], Result], tuple[str, ...]]] = {
    "bt": (bt, OURS),
    "bootstrap": (bootstrapped, OURS),
    "style": (style, OURS),
    "by-voter": (by_voter, OURS),
    "build": (build, ("fastchat.commands.leaderboard", "fastchat.arena.leaderboard.building", *OURS)),
    "days": (days, OURS),
    "evalica": (evalica, ("evalica", "pandas", "polars")),
    "choix": (choix, ("choix", *OURS)),
}

if __name__ == "__main__":
    way, modules = WAYS[sys.argv[1]]
    for module in modules:
        import_module(module)
    report(lambda: way([Path(name) for name in sys.argv[2:]]))
