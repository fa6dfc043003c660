"""What the static page says: the table and charts of a category, and what is looked at beside the ratings."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from fastchat.arena.leaderboard import charts
from fastchat.arena.leaderboard.board import OVERALL, Board, CategoryBoard, ModelFacts
from fastchat.arena.leaderboard.rendering.html import Cell, Head, dashed, escaped, paragraph, table
from fastchat.arena.leaderboard.rendering.lines import Line, are_groups, lines

_IN_MAPS, _IN_BARS = 25, 40  # models; more cannot be read


def category(board: Board, name: str, shown: Sequence[Line], *, is_raw: bool) -> str:
    found = board.categories[name]
    parts = [f"<h2>{escaped(name)}</h2>", _said(found), _ratings(shown, name)]
    parts += [_chart(title, drawn, is_open=at == 0) for at, (title, drawn) in enumerate(_charts(shown, found))]
    if not is_raw:
        parts += [_neighbours(found), _coefficients(found)]
    return "".join(parts)


def _said(found: CategoryBoard) -> str:
    sentences = [f"{found.votes:,} votes, of which {found.both_bad_share:.1%} call both answers bad."]
    if found.how:
        sentences.append(f"Which votes are in it: {found.how}.")
    if flip := found.top_flip:
        sentences.append(
            f"{flip.votes:,} votes ({flip.share:.3%}) the other way round would put {flip.second} before {flip.first}."
        )
    if len(found.components) > 1:
        sentences.append(f"The models are {len(found.components)} groups that never met; compare within a group only.")
    return "".join(map(paragraph, [" ".join(sentences), *found.notes]))


def _ratings(shown: Sequence[Line], name: str) -> str:
    groups = are_groups(shown)
    heads = [
        Head("Model"),
        Head("Rank", True, "All ranks that the votes leave open, for all models at once"),
        Head("Rating", True, "400 points are odds of ten to one"),
        Head("Interval", True, "Of this model alone"),
        Head("Votes", True),
        Head("Win rate", True, "Ties and both-bad are half a win"),
        Head("Tier", True, "Models of different tiers are told apart for sure"),
        *([Head("Group", True, "Only models of one group can be compared")] if groups else []),
        Head("Organisation"),
        Head("Licence"),
    ]
    return table(heads, (_row(line, groups) for line in shown), f"Ratings: {name}", kind="ratings")


def _row(line: Line, groups: bool) -> list[Cell]:
    row, facts = line
    tag = ' <span class="tag">preliminary</span>' if row.preliminary else ""
    return [
        Cell(line.title, html=tag, link=facts.link),
        Cell(line.ranks, row.rank_lower + row.rank_upper / 1e6),
        Cell(line.rating, row.rating),
        Cell(line.spread, row.upper - row.lower),
        Cell(f"{row.votes:,}", row.votes),
        Cell(f"{row.win_rate:.1%}", row.win_rate),
        Cell(str(row.tier), row.tier),
        *([Cell(str(row.component + 1), row.component)] if groups else []),
        Cell(facts.organization or "–"),
        Cell(facts.license or "–"),
    ]


def _charts(shown: Sequence[Line], found: CategoryBoard) -> Iterator[tuple[str, str]]:
    names = [line.row.name for line in shown[:_IN_MAPS]]
    yield "Ratings with intervals", charts.ratings([line.row for line in shown[:_IN_BARS]], "Ratings with intervals")
    title = "How often the model of the row wins against that of the column, in percent"
    yield "Win rates", charts.win_rates(names, found.pairs, title)
    yield "Votes of each pair", charts.battle_counts(names, found.pairs, "How many votes each pair has")


def _chart(title: str, drawn: str, *, is_open: bool = False) -> str:
    if not drawn:
        return ""
    start = "<details open>" if is_open else "<details>"
    return f'{start}<summary>{escaped(title)}</summary><div class="scroll" tabindex="0">{drawn}</div></details>'


def _neighbours(found: CategoryBoard) -> str:
    if not found.neighbours:
        return ""
    heads = [
        Head("Model"), Head("and the next one"), Head("Points apart", True), Head("Better with probability", True),
        Head("Told apart"), Head("Votes needed", True),
    ]  # fmt: skip
    rows = [
        [
            Cell(row.better),
            Cell(row.worse),
            Cell(f"{row.difference:.1f} ± {row.error:.1f}", row.difference),
            Cell(f"{row.probability:.1%}", row.probability),
            Cell("yes" if row.separated else "no"),
            dashed(row.votes_needed, ",.0f"),
        ]
        for row in found.neighbours
    ]
    return _panel("What separates neighbours", table(heads, rows, "Neighbours"))


def _coefficients(found: CategoryBoard) -> str:
    if not found.coefficients:
        return ""
    heads = [Head("Style"), Head("Points for a standard deviation more", True), Head("Interval", True)]
    rows = [
        [
            Cell(row.name),
            Cell(f"{row.estimate:+.1f}", row.estimate),
            Cell(f"{row.lower:+.1f} to {row.upper:+.1f}", row.lower),
        ]
        for row in found.coefficients
    ]
    return _panel("What style is worth", table(heads, rows, "Style"))


def _panel(title: str, inside: str) -> str:
    return f"<details><summary>{escaped(title)}</summary>{inside}</details>" if inside else ""


def beside(board: Board) -> str:
    """What is said of all votes together."""
    parts = [*(_chart(*one) for one in _scatters(board)), _history(board)]
    parts += [_bias(board), _variants(board), _quarantine(board), _cleaning(board), _made(board)]
    return f'<section class="beside"><h2>Behind the ratings</h2>{"".join(parts)}</section>'


class _Figure(NamedTuple):
    title: str
    label: str
    of: Callable[[ModelFacts], float | None]
    better: Literal["less", "more"] = "less"


_FIGURES = (
    _Figure("Rating and price", "price of a million tokens", lambda facts: facts.price),
    _Figure("Rating and waiting time", "seconds to the first token", lambda facts: facts.first_token_s),
    _Figure("Rating and speed", "tokens a second", lambda facts: facts.tokens_per_s, "more"),
    _Figure("Rating and size", "billions of parameters", lambda facts: facts.parameters_b),
)


def _scatters(board: Board) -> Iterator[tuple[str, str]]:
    shown = lines(board, OVERALL if OVERALL in board.categories else next(iter(board.categories)))
    shown = [line for line in shown if line.row.component == 0]
    dots = [charts.Dot(line.row.name, line.row.votes, line.row.rating) for line in shown]
    yield "Rating and votes", charts.scatter(dots, "Rating and votes", "votes", "rating")
    for title, label, figure, better in _FIGURES:
        known = [(line, figure(line.facts)) for line in shown]
        dots = [charts.Dot(line.row.name, value, line.row.rating) for line, value in known if value is not None]
        yield title, charts.scatter(dots, title, label, "rating", better=better)


def _history(board: Board) -> str:
    moments = [charts.Moment(point.until, point.ratings) for point in board.history]
    if not moments:
        return ""
    last = moments[-1].ratings
    names = sorted(last, key=lambda name: -last[name])
    return _chart("Ratings over time", charts.history(moments, names, "Ratings over time"))


def _bias(board: Board) -> str:
    if not board.bias:
        return ""
    heads = [
        Head("What moves votes"), Head("Points", True), Head("Interval", True), Head("for"),
        Head("Largest change if corrected", True), Head("Pairs that change places", True),
    ]  # fmt: skip
    rows = [
        [
            Cell(row.name),
            Cell(f"{row.estimate:+.1f}", row.estimate),
            Cell(f"{row.lower:+.1f} to {row.upper:+.1f}", row.lower),
            Cell(row.unit),
            Cell(f"{row.largest_change:.1f}", row.largest_change),
            Cell(str(row.order_changes), row.order_changes),
        ]
        for row in board.bias
    ]
    return _panel("What moves votes besides the model", table(heads, rows, "Bias"))


def _variants(board: Board) -> str:
    if not board.variants:
        return ""
    heads = [
        Head("Family"),
        Head("Tested, with votes"),
        Head("Listed"),
        Head("Gain of the best by chance", True),
        Head("Remark"),
    ]
    rows = [
        [
            Cell(row.family),
            Cell(", ".join(f"{name} ({votes:,})" for name, votes in row.tested.items())),
            Cell(", ".join(row.listed) or "none"),
            dashed(row.expected_gain, ".1f"),
            Cell("only the best is listed" if row.flagged else ""),
        ]
        for row in board.variants
    ]
    return _panel("Variants that were tested", table(heads, rows, "Variants"))


def _quarantine(board: Board) -> str:
    found = board.quarantine
    if found is None:
        return ""
    without = {row.name: row for row in found.models_without}
    state = "are left out of" if found.applied else "count in"
    said = (
        f"{found.voters:,} voters with {found.votes:,} votes vote unlike all others, by a test that suspects an honest "
        f"voter with a probability of {found.level:g} at most. Their votes {state} the ratings above."
    )
    heads = [Head("Model"), Head("With them", True), Head("Without them", True)]
    rows = [
        [
            Cell(row.name),
            Cell(f"{row.rating:.0f}", row.rating),
            dashed(without[row.name].rating if row.name in without else None, ".0f"),
        ]
        for row in found.models_with
    ]
    return _panel("Unusual voters", paragraph(said) + (table(heads, rows, "With and without") if found.voters else ""))


def _cleaning(board: Board) -> str:
    heads = [Head("Rule"), Head("Why"), Head("Given", True), Head("Dropped", True), Head("Left", True)]
    rows = [
        [
            Cell(step.rule),
            Cell(step.why),
            *(Cell(f"{number:,}", number) for number in (step.given, step.dropped, step.kept)),
        ]
        for step in board.cleaning
    ]
    return _panel("Which votes count", table(heads, rows, "Cleaning")) if rows else ""


def _made(board: Board) -> str:
    made = {"parameters": board.parameters, "source": board.source}
    built = datetime.fromtimestamp(board.built_at, UTC).isoformat(timespec="seconds")
    text = json.dumps({"built_at": built, **made}, indent=1, ensure_ascii=False)
    lines_of_text = "\n".join(map(escaped, text.splitlines()))
    return _panel("How it was made", f"<pre>{lines_of_text}</pre>")
