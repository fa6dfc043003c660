"""Results as plots, on a page that stands alone: scores by category, bars with intervals, who beats whom.

The figures are Plotly's JSON; its script stands in the page.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeAlias

from fastchat.core.errors import MissingPackage
from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.results.pairwise import Duel, PairBoard
from fastchat.llm_judge.results.report import JudgeReport, Report
from fastchat.llm_judge.results.scores import ScoreBoard
from fastchat.llm_judge.site.html import name, page

_SCORES = (0.0, 10.0)
_AXES = 3  # of a radar, at the least
_SHOWN = 6  # models that are drawn in a radar at first; more are in its legend
_COLOURS = ("#0f9d8a", "#d9822b", "#7d6bd1", "#d1558f", "#4f8fd6", "#8aa328", "#c0504d", "#8c8c8c")
_AGAINST_FOR = ((0.0, "#d9822b"), (0.5, "#f3f1ee"), (1.0, "#0f9d8a"))  # loses … wins

Json: TypeAlias = dict[str, Any]  # Any: JSON
_LEGEND: Json = {"showlegend": True, "legend": {"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.1}}


class Plot(NamedTuple):
    title: str
    figure: Json
    note: str = ""


def plots_page(report: Report, index: str = "") -> str:
    """`index` is the address of the page that leads here, if one does.

    Raises:
        MissingPackage: plotly is not installed.
    """
    drawn = list(plots(report))
    nav = f'<nav><a href="{index}">{name(report.name)}</a></nav>' if index else ""
    parts = "".join(
        f'<section><h2>{name(plot.title)}</h2><div class="plot" id="plot-{at}"></div><p>{plot.note}</p></section>'
        for at, plot in enumerate(drawn)
    )
    data = json.dumps([plot.figure for plot in drawn], allow_nan=False).replace("<", "\\u003c")
    return page(
        f"Plots – {report.name}",
        f'<header>{nav}<h1>Plots of {name(report.name)}</h1><p class="summary">Intervals are of 95 %.</p></header>'
        f"<main>{parts or '<p>There is nothing to draw.</p>'}</main>"
        f'<script type="application/json" id="figures">{data}</script>',
        script="plots.js",
        library=_plotly(),
    )


def can_draw() -> bool:
    return find_spec("plotly") is not None


def _plotly() -> str:
    if not can_draw():
        raise MissingPackage("plotly", "llm_judge", "Drawing plots")
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def plots(report: Report) -> Iterator[Plot]:
    if report.checked:
        bars = _bars([(row.model, row.passed) for row in report.checked])
        yield Plot("Answers that passed when they were run", _with_axis(bars, "share of questions", (0, 1)))
    for judge in report.judges:
        if judge.scores:
            yield from _of_scores(judge, judge.scores)
        if judge.pairs:
            yield from _of_pairs(judge, judge.pairs)


def _of_scores(judge: JudgeReport, board: ScoreBoard) -> Iterator[Plot]:
    bars = _bars([(row.model, row.score) for row in board.models])
    yield Plot(f"Scores by {judge.judge}", _with_axis(bars, "score", _SCORES))
    categories = sorted({category for row in board.models for category in row.categories})
    by_model = {row.model: row.categories for row in board.models}
    if len(categories) >= _AXES:
        yield Plot(f"Scores by {judge.judge} and category", _radar(categories, by_model))
    elif len(categories) > 1:
        yield Plot(f"Scores by {judge.judge} and category", _grouped(categories, by_model))


def _of_pairs(judge: JudgeReport, board: PairBoard) -> Iterator[Plot]:
    bars = _bars([(row.model, row.win_rate_adjusted) for row in board.wins])
    yield Plot(f"Win rates by {judge.judge}", _with_axis(bars, "wins, ties as half", (0, 1)))
    ratings = [(row.model, Estimate(row.rating, None, row.lower, row.upper)) for row in board.ratings]
    yield Plot(f"Ratings by {judge.judge} (Bradley-Terry)", _dots(ratings, "rating"))
    if len(board.ratings) > 2:
        names = [row.model for row in board.ratings]
        said = "How often the model of a row beats that of a column; a tie is half a win."
        yield Plot(f"Who beats whom, by {judge.judge}", _matrix(names, board.duels), said)


def _bars(rows: Sequence[tuple[str, Estimate]]) -> Json:
    return {"data": [{"type": "bar", "marker": {"color": _COLOURS[0], "opacity": 0.85}, **_along(rows)}], "layout": {}}


def _dots(rows: Sequence[tuple[str, Estimate]], title: str) -> Json:
    """Of what has no zero to begin at."""
    marker = {"color": _COLOURS[0], "size": 10}
    trace = {"type": "scatter", "mode": "markers", "marker": marker, **_along(rows)}
    return _with_axis({"data": [trace], "layout": {}}, title)


def _along(rows: Sequence[tuple[str, Estimate]]) -> Json:
    """Models from top to bottom, the best first; what is unbounded has no whisker on that side."""
    return {
        "orientation": "h",
        "y": [model for model, _ in rows],
        "x": [found.value for _, found in rows],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [0 if found.upper is None else found.upper - found.value for _, found in rows],
            "arrayminus": [0 if found.lower is None else found.value - found.lower for _, found in rows],
            "thickness": 1.5,
        },
        "customdata": [_told(found) for _, found in rows],
        "hovertemplate": "%{y}: %{customdata}<extra></extra>",
    }


def _told(found: Estimate) -> str:
    lower = "-∞" if found.lower is None else f"{found.lower:.3g}"
    upper = "∞" if found.upper is None else f"{found.upper:.3g}"
    return f"{found.value:.3g}" + ("" if found.lower is None and found.upper is None else f" ({lower} … {upper})")


def _with_axis(figure: Json, title: str, ends: tuple[float, float] | None = None) -> Json:
    axis: Json = {"title": {"text": title}, "zeroline": False}
    if ends:
        axis["range"] = list(ends)
    number = len(figure["data"][0]["y"])
    layout = {"xaxis": axis, "yaxis": {"autorange": "reversed", "automargin": True}, "height": 120 + 34 * number}
    return {"data": figure["data"], "layout": layout}


def _radar(categories: Sequence[str], scores: Mapping[str, Mapping[str, Estimate]]) -> Json:
    around = [*categories, categories[0]]
    data = [
        {
            "type": "scatterpolar",
            "name": model,
            "theta": around,
            "r": [own[category].value if category in own else None for category in around],
            "line": {"color": _COLOURS[at % len(_COLOURS)]},
            "visible": True if at < _SHOWN else "legendonly",
            "hovertemplate": "%{theta}: %{r:.2f}<extra>%{fullData.name}</extra>",
        }
        for at, (model, own) in enumerate(scores.items())
    ]
    return {"data": data, "layout": {"polar": {"radialaxis": {"range": list(_SCORES)}}, "height": 560, **_LEGEND}}


def _grouped(categories: Sequence[str], scores: Mapping[str, Mapping[str, Estimate]]) -> Json:
    data = [
        {
            "type": "bar",
            "name": model,
            "x": list(categories),
            "y": [own[category].value if category in own else None for category in categories],
            "marker": {"color": _COLOURS[at % len(_COLOURS)]},
        }
        for at, (model, own) in enumerate(scores.items())
    ]
    return {"data": data, "layout": {"barmode": "group", "yaxis": {"range": list(_SCORES)}, "height": 420, **_LEGEND}}


def _matrix(names: Sequence[str], duels: Sequence[Duel]) -> Json:
    shares: dict[tuple[str, str], tuple[float, int]] = {}
    for duel in duels:
        shares[duel.model, duel.other] = duel.share.value, duel.pairs
        shares[duel.other, duel.model] = 1 - duel.share.value, duel.pairs
    cells = [[shares.get((row, column)) for column in names] for row in names]
    trace = {
        "type": "heatmap",
        "x": list(names),
        "y": list(names),
        "z": [[cell and cell[0] for cell in row] for row in cells],
        "text": [[f"{cell[0]:.0%}" if cell else "" for cell in row] for row in cells],
        "customdata": [[cell[1] if cell else 0 for cell in row] for row in cells],
        "texttemplate": "%{text}",
        "textfont": {"color": "#1d1a18"},  # on light cells, whatever the page's colours are
        "hovertemplate": "%{y} against %{x}: %{text} of %{customdata} pairs<extra></extra>",
        "colorscale": [list(step) for step in _AGAINST_FOR],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
    }
    axes = {"xaxis": {"side": "top", "automargin": True}, "yaxis": {"autorange": "reversed", "automargin": True}}
    return {"data": [trace], "layout": {**axes, "height": 160 + 44 * len(names)}}
