"""`elo_results_YYYYMMDD.pkl` as FastChat's `elo_analysis` wrote it, for those who read it.

    {"full": {"rating_system", "elo_rating_online", "elo_rating_final", "leaderboard_table", "leaderboard_table_df", …}}

Written with pandas, and with plotly's figures if it is there. Reading a pickle runs it; `web.inert_pickle` does not.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from fastchat.arena.leaderboard.board import OVERALL, Board, CategoryBoard, ModelRow
from fastchat.arena.leaderboard.rendering.markdown import markdown
from fastchat.core.errors import MissingPackage

if TYPE_CHECKING:
    import pandas as pd

_MOST = 25  # models in a plot, as there
_STYLE = "_style_control"


@dataclass(frozen=True, slots=True)
class Beside:
    """What FastChat's file has and a board does not: it comes from the votes."""

    online: Mapping[str, float] = field(default_factory=dict)  # Elo by the order of votes
    draws: Mapping[str, list[float]] = field(default_factory=dict)  # bootstrapped ratings


def fastchat_pickle(board: Board, beside: Mapping[str, Beside] | None = None) -> bytes:
    """`beside`: by category.

    Raises:
        MissingPackage: pandas is not installed.
    """
    return pickle.dumps(fastchat_results(board, beside))


def fastchat_results(board: Board, beside: Mapping[str, Beside] | None = None) -> dict[str, dict[str, Any]]:
    if find_spec("pandas") is None:
        raise MissingPackage("pandas", "leaderboard", "FastChat's pickle")
    results = {}
    for name, category in board.categories.items():
        key, more = "full" if name == OVERALL else name, (beside or {}).get(name, Beside())
        if category.raw is None:
            results[key] = _result(board, name, category.models, more, raw=False)
            continue
        results[key] = _result(board, name, category.raw, more, raw=True)
        results[key + _STYLE] = _result(board, name, category.models, Beside(), raw=False)
    return results


def _result(board: Board, name: str, rows: tuple[ModelRow, ...], beside: Beside, *, raw: bool) -> dict[str, Any]:
    category = board.categories[name]
    built = datetime.fromtimestamp(board.built_at, UTC)
    coefficients = {row.name: row.estimate for row in category.coefficients} if not raw else {}
    return {
        "rating_system": board.parameters.get("rating", "bt"),
        "elo_rating_online": dict(beside.online),
        "elo_rating_final": {row.name: row.rating for row in rows},
        "leaderboard_table": markdown(board, name, raw=raw),
        **_figures(rows, category),
        "last_updated_datetime": f"{built:%Y-%m-%d %H:%M:%S} UTC",
        "last_updated_tstamp": board.built_at,
        "bootstrap_df": _draws(rows, beside),
        "leaderboard_table_df": _table(rows, board.parameters.get("confidence", 0.95)),
        "style_coefficients": {"bootstrap": None, "final": coefficients} if coefficients else {},
    }


def _table(rows: tuple[ModelRow, ...], confidence: float) -> "pd.DataFrame":
    """Whatever the confidence is, its interval stands where FastChat has that of 95 %."""
    import pandas as pd

    wide = 2 * NormalDist().inv_cdf((1 + confidence) / 2)
    columns = {
        "rating": [row.rating for row in rows],
        "variance": [((row.upper - row.lower) / wide) ** 2 for row in rows],
        "rating_q975": [row.upper for row in rows],
        "rating_q025": [row.lower for row in rows],
        "num_battles": [row.votes for row in rows],
        # 1 + how many are better for sure, by the rank sets rather than by intervals that overlap.
        "final_ranking": [row.rank_lower for row in rows],
    }
    return _plain(pd.DataFrame(columns, index=[row.name for row in rows]))


def _draws(rows: tuple[ModelRow, ...], beside: Beside) -> "pd.DataFrame":
    import pandas as pd

    return _plain(pd.DataFrame({row.name: beside.draws[row.name] for row in rows if row.name in beside.draws}))


def _plain(frame: "pd.DataFrame") -> "pd.DataFrame":
    """With names as every pandas reads them: a new one takes Arrow's strings, where Arrow is installed."""
    return frame.set_axis(frame.index.astype(object)).set_axis(frame.columns.astype(object), axis="columns")


def _figures(rows: tuple[ModelRow, ...], category: CategoryBoard) -> dict[str, Any]:
    names = ("win_fraction_heatmap", "battle_count_heatmap", "average_win_rate_bar", "bootstrap_elo_rating")
    if find_spec("plotly") is None:
        return dict.fromkeys(names)
    import plotly.graph_objects as go

    shown = rows[:_MOST]
    models = [row.name for row in shown]
    place = {name: at for at, name in enumerate(models)}
    wins: list[list[float | None]] = [[None] * len(models) for _ in models]
    battles = [[0] * len(models) for _ in models]
    for pair in category.pairs:
        if pair.model_a in place and pair.model_b in place:
            one, two = place[pair.model_a], place[pair.model_b]
            total = pair.wins_a + pair.wins_b + pair.ties + pair.both_bad
            share = (pair.wins_a + (pair.ties + pair.both_bad) / 2) / total
            wins[one][two], wins[two][one] = share, 1 - share
            battles[one][two] = battles[two][one] = pair.votes
    ratings = go.Scatter(
        x=models,
        y=[row.rating for row in shown],
        mode="markers",
        error_y={
            "array": [row.upper - row.rating for row in shown],
            "arrayminus": [row.rating - row.lower for row in shown],
        },
    )
    figures = (
        go.Figure(go.Heatmap(x=models, y=models, z=wins), layout={"title": "Fraction of wins of row against column"}),
        go.Figure(go.Heatmap(x=models, y=models, z=battles), layout={"title": "Battles of each pair"}),
        go.Figure(go.Bar(x=models, y=[row.win_rate for row in shown]), layout={"title": "Average win rate"}),
        go.Figure(ratings, layout={"title": "Ratings with intervals"}),
    )
    return dict(zip(names, figures, strict=True))
