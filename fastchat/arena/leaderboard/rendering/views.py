"""What the static page says: the table and charts of a category, and what is looked at beside the ratings."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from fastchat.arena.leaderboard import charts
from fastchat.arena.leaderboard.board import OVERALL, Board, CategoryBoard, ModelFacts, NeighbourRow
from fastchat.arena.leaderboard.rendering.html import Cell, Head, counted, dashed, escaped, paragraph, signed, table
from fastchat.arena.leaderboard.rendering.lines import Line, are_groups, lines

_IN_MAPS = 25  # models; more cannot be read


def category(board: Board, name: str, shown: Sequence[Line], *, is_raw: bool) -> str:
    found = board.categories[name]
    parts = [f"<h2>{escaped(name)}</h2>", _said(found), _ratings(board, shown, name), _reading(board, shown, found)]
    parts += [_ratings_chart(shown), *_maps(shown, found)]
    if not is_raw:
        parts += [_neighbours(found), _coefficients(board, found)]
    return "".join(parts)


def _said(found: CategoryBoard) -> str:
    sentences = [f"{counted(found.votes, 'vote')}; {found.both_bad_share:.1%} call both answers bad."]
    if found.how:
        sentences.append(f"Which votes are in it: {found.how.rstrip('.')}.")
    if flip := found.top_flip:
        sentences.append(
            f"{counted(flip.votes, 'vote')} ({flip.share:.3%}) the other way round would put {flip.second} before "
            f"{flip.first}."
        )
    if len(found.components) > 1:
        sentences.append(f"The models are {len(found.components)} groups that never met; compare within a group only.")
    return "".join(map(paragraph, [" ".join(sentences), *found.notes]))


class _Columns(NamedTuple):
    """Those that not every table has."""

    tiers: bool
    groups: bool
    facts: bool


def _columns(board: Board, shown: Sequence[Line]) -> _Columns:
    return _Columns(
        tiers=any(line.row.tier > 1 for line in shown),
        groups=are_groups(shown),
        facts=any(facts.organization or facts.license for facts in board.facts.values()),
    )


def _ratings(board: Board, shown: Sequence[Line], name: str) -> str:
    has = _columns(board, shown)
    heads = [
        Head("Model"),
        Head("Rank", True, "All ranks that the votes leave open, for all models at once"),
        Head("Rating", True, "400 points are odds of ten to one"),
        Head(_interval(board), True, "Of this model alone"),
        Head("Votes", True),
        Head("Win rate", True, "Ties and both-bad are half a win"),
        *([Head("Tier", True, "Models of different tiers are told apart for sure")] if has.tiers else []),
        *([Head("Group", True, "Only models of one group can be compared")] if has.groups else []),
        *([Head("Organization"), Head("License")] if has.facts else []),
    ]
    return table(heads, (_row(line, has) for line in shown), f"Ratings: {name}", kind="ratings")


def _row(line: Line, has: _Columns) -> list[Cell]:
    row, facts = line
    tag = ' <span class="tag">preliminary</span>' if row.preliminary else ""
    return [
        Cell(line.title, html=tag, link=facts.link),
        Cell(line.ranks, row.rank_lower + row.rank_upper / 1e6),
        Cell(line.rating, row.rating),
        Cell(line.spread, row.upper - row.lower),
        Cell(f"{row.votes:,}", row.votes),
        Cell(f"{row.win_rate:.1%}", row.win_rate),
        *([Cell(str(row.tier), row.tier)] if has.tiers else []),
        *([Cell(str(row.component + 1), row.component)] if has.groups else []),
        *([Cell(facts.organization or "–"), Cell(facts.license or "–")] if has.facts else []),
    ]


def _level(board: Board) -> str:
    """Of confidence, in percent. Whoever wrote the file may have written anything."""
    level = board.parameters.get("confidence")
    return f"{(level if isinstance(level, float) else 0.95) * 100:g}"


def _interval(board: Board) -> str:
    return f"{_level(board)} % interval"


def _reading(board: Board, shown: Sequence[Line], found: CategoryBoard) -> str:
    has, level = _columns(board, shown), _level(board)
    sentences = [
        "Rating: how strong the votes say a model is, whomever it met; 400 points more are odds of ten to one.",
        f"{_interval(board)}: how far above and below its rating a model lies, in {level} of 100 cases.",
        "Rank: all places that the votes leave open; 1–3 means first, second or third. "
        f"All ranks together are right in {level} of 100 cases.",
        "Win rate: wins of all its votes, ties and both-bad as half a win; here opponents make a difference.",
    ]
    if has.tiers:
        sentences.append(
            "Tier: models of different tiers are told apart for certain. Within a tier some may be told apart, too; "
            "the ranks show it."
        )
    if has.groups:
        sentences.append("Group: not all models have met, directly or through others; compare within a group only.")
    if found.raw is not None:
        sentences.append("Style controlled: what length and markup bring is taken out; “as voted” is with it.")
    if any(line.row.preliminary for line in shown):
        sentences.append("Preliminary: the rating stands on few votes.")
    return _panel("How to read this table", "".join(map(paragraph, sentences)))


def _ratings_chart(shown: Sequence[Line]) -> str:
    title = "Ratings and intervals"
    return _chart(title, charts.ratings([line.row for line in shown], title), is_open=True)


def _maps(shown: Sequence[Line], found: CategoryBoard) -> Iterator[str]:
    names = [line.row.name for line in shown[:_IN_MAPS]]
    told = _drawn(_IN_MAPS, len(shown)) + '<p class="aside">Scroll sideways to see all of it.</p>'
    title = "How often the model of the row wins against that of the column, in percent"
    yield _chart("Who beats whom", charts.win_rates(names, found.pairs, title), told)
    yield _chart("How often they met", charts.battle_counts(names, found.pairs, "How many votes each pair has"), told)


def _drawn(most: int, models: int) -> str:
    return paragraph(f"{most} of {models:,} models are drawn: the first ones.") if models > most else ""


def _chart(title: str, drawn: str, told: str = "", *, is_open: bool = False) -> str:
    if not drawn:
        return ""
    start = "<details open>" if is_open else "<details>"
    return f'{start}<summary>{escaped(title)}</summary>{told}<div class="scroll" tabindex="0">{drawn}</div></details>'


def _neighbours(found: CategoryBoard) -> str:
    if not found.neighbours:
        return ""
    heads = [
        Head("Model"), Head("Next"), Head("Difference", True), Head("Chance that it is better", True),
        Head("Told apart"), Head("Votes still needed", True),
    ]  # fmt: skip
    rows = [
        [
            Cell(row.better),
            Cell(row.worse),
            Cell(f"{row.difference:.1f} ± {row.error:.1f}", row.difference),
            Cell(f"{row.probability:.1%}", row.probability),
            Cell("yes" if row.separated else "no"),
            _needed(row),
        ]
        for row in found.neighbours
    ]
    return _panel("How sure the order is", table(heads, rows, "Neighbours"))


def _needed(row: NeighbourRow) -> Cell:
    if not row.separated and row.votes_needed is None:
        return Cell("no number would do", float("inf"))
    return dashed(None if row.separated else row.votes_needed, ",.0f")


def _coefficients(board: Board, found: CategoryBoard) -> str:
    if not found.coefficients:
        return ""
    heads = [Head("Style"), Head("Points for a standard deviation more", True), Head(_interval(board), True)]
    rows = [
        [
            Cell(row.name),
            Cell(signed(row.estimate), row.estimate),
            Cell(f"{signed(row.lower)} to {signed(row.upper)}", row.lower),
        ]
        for row in found.coefficients
    ]
    return _panel("What style is worth", table(heads, rows, "Style"))


def _panel(title: str, inside: str) -> str:
    return f"<details><summary>{escaped(title)}</summary>{inside}</details>" if inside else ""


def beside(board: Board) -> str:
    """What is said of all votes together."""
    parts = (
        [paragraph("This is of all votes, whichever category is chosen above.")] if len(board.categories) > 1 else []
    )
    parts += [*(_chart(*one) for one in _scatters(board)), _history(board)]
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
    told = paragraph(f"The ratings that all votes until the end of each day gave.{_uncontrolled(board)}")
    told += _drawn(charts.MOST_LINES, len(names))
    return _chart("Ratings over time", charts.history(moments, names, "Ratings over time"), told)


def _uncontrolled(board: Board) -> str:
    is_controlled = any(category.raw is not None for category in board.categories.values())
    return " These ratings are without control for style." if is_controlled else ""


def _bias(board: Board) -> str:
    if not board.bias:
        return ""
    heads = [
        Head("Of what"), Head("For each"), Head("Points", True), Head(_interval(board), True),
        Head("Largest change if corrected", True), Head("Pairs that change places", True),
    ]  # fmt: skip
    rows = [
        [
            Cell(row.name),
            Cell(row.unit),
            Cell(signed(row.estimate), row.estimate),
            Cell(f"{signed(row.lower)} to {signed(row.upper)}", row.lower),
            Cell(f"{row.largest_change:.1f}", row.largest_change),
            Cell(str(row.order_changes), row.order_changes),
        ]
        for row in board.bias
    ]
    return _panel("What else moves votes", table(heads, rows, "Bias"))


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
        f"A test found {counted(found.voters, 'voter')} with {counted(found.votes, 'vote')} that vote unlike others; "
        f"it suspects an honest voter with a probability of {found.level:g} at most. Their votes {state} the ratings "
        f"above.{_uncontrolled(board)}"
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
    return _panel(
        "Votes in quarantine", paragraph(said) + (table(heads, rows, "With and without") if found.voters else "")
    )


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
    return _panel("What was left out, and why", table(heads, rows, "Cleaning")) if rows else ""


def _made(board: Board) -> str:
    made = {"parameters": board.parameters, "source": board.source}
    built = datetime.fromtimestamp(board.built_at, UTC).isoformat(timespec="seconds")
    text = json.dumps({"built_at": built, **made}, indent=1, ensure_ascii=False)
    lines_of_text = "\n".join(map(escaped, text.splitlines()))
    return _panel("How it was made", f'<pre tabindex="0">{lines_of_text}</pre>')
