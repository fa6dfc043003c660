"""Ratings by peers, from a Parquet file of votes to named ratings. Run by its path, in the peer's environment.

python benchmarks/peers/rankers.py arena-rank|arena-rank-style|arenakit|arenakit-bootstrap|fastchat FILE
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from stopwatch import report  # beside this file

Ratings = Mapping[str, float]

VOTE = ["model_a", "model_b", "winner"]
STYLES = ("tokens", "headers", "lists", "bold")
BOTH_BAD = "tie (bothbad)"
BOOTSTRAPS = 100


def arena_rank(file: Path) -> Ratings:
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    votes = PairDataset.from_pandas(pd.read_parquet(file, columns=VOTE))
    return _named(BradleyTerry(votes.n_competitors).compute_ratings_and_cis(votes))


def arena_rank_style(file: Path) -> Ratings:
    """With hardly any ridge on the coefficients: its own default shrinks them to a seventh."""
    from arena_rank.models.contextual_bradley_terry import ContextualBradleyTerry
    from arena_rank.utils.data_utils import ContextualPairDataset

    table = pd.read_parquet(file, columns=VOTE + [f"{style}_{side}" for style in STYLES for side in "ab"])
    for style in STYLES:
        left, right = table[f"{style}_a"], table[f"{style}_b"]
        table[style] = ((left - right) / (left + right)).fillna(0.0)
    votes = ContextualPairDataset.from_pandas(table, feature_cols=list(STYLES), reweighted=False)
    fit = ContextualBradleyTerry(votes.n_competitors, votes.n_features, reg=1e-6)
    return _named(fit.compute_ratings_and_cis(votes))


def _named(found: Mapping[str, Any]) -> Ratings:
    return dict(zip(found["competitors"], map(float, found["ratings"]), strict=True))


def arenakit(file: Path) -> Ratings:
    from arenakit.bt import fit_bt, to_elo

    arena = _arena(file)
    return dict(zip(arena.models, map(float, to_elo(fit_bt(arena.counts()).scores)), strict=True))


def arenakit_bootstrap(file: Path) -> Ratings:
    from arenakit.boot import bootstrap, separation
    from arenakit.bt import to_elo

    arena = _arena(file)
    drawn = bootstrap(arena, n_resamples=BOOTSTRAPS)
    separation(drawn, arena.models)
    return dict(zip(arena.models, map(float, to_elo(drawn.point)), strict=True))


def _arena(file: Path) -> Any:
    from arenakit.schema import Arena, battles_from_records

    table = pd.read_parquet(file, columns=VOTE)
    table["winner"] = table["winner"].replace(BOTH_BAD, "tie")  # it takes ties of one kind only
    return Arena(battles_from_records(table.to_dict("records")))


def fastchat(file: Path) -> Ratings:
    return dict(_elo_analysis().compute_elo_mle_with_tie(pd.read_parquet(file, columns=VOTE)))


def _elo_analysis() -> ModuleType:
    """FastChat's module, without those that it imports for other things: torch, transformers, polyglot."""
    for name, parts in {
        "fastchat.model": (),
        "fastchat.model.model_registry": ("get_model_info",),
        "fastchat.serve.monitor.basic_stats": ("get_log_files",),
        "fastchat.serve.monitor.clean_battle_data": ("clean_battle_data",),
    }.items():
        sys.modules[name] = ModuleType(name)
        for part in parts:
            setattr(sys.modules[name], part, None)
    return import_module("fastchat.serve.monitor.elo_analysis")


WAYS: Mapping[str, tuple[Callable[[Path], Ratings], tuple[str, ...]]] = {
    "arena-rank": (arena_rank, ("arena_rank.models.bradley_terry",)),
    "arena-rank-style": (arena_rank_style, ("arena_rank.models.contextual_bradley_terry",)),
    "arenakit": (arenakit, ("arenakit.bt", "arenakit.schema")),
    "arenakit-bootstrap": (arenakit_bootstrap, ("arenakit.boot", "arenakit.schema")),
    "fastchat": (fastchat, ("sklearn.linear_model",)),
}

if __name__ == "__main__":
    way, modules = WAYS[sys.argv[1]]
    for module in modules:
        import_module(module)
    if way is fastchat:
        _elo_analysis()
    report(lambda: {"ratings": way(Path(sys.argv[2]))})
