"""Charts as SVG text, to stand in a page: no library, no script, nothing fetched.

Ink is the page's own (`currentColor`), so they are right in light and dark. A page may set `--chart-accent` and
`--chart-other`, and `--chart-1` to `--chart-8` for lines. What a mark says in full is told when it is pointed at.
Text is not to shrink on a phone: charts that can be narrow are drawn a second time (`WIDE`, `NARROW`).
"""

import html
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from fastchat.arena.leaderboard.board import EARLIEST

WIDTH, NARROW_WIDTH = 720, 340
WIDE, NARROW = "fc-wide", "fc-narrow"  # classes; a page shows one of the two
_ROW = 22
_TEXT = 12
_LONGEST = 30  # characters of a name
_LEANING = math.radians(60)  # of names above columns
_PER_LETTER = 6.8  # pixels, about
_WIDE_LETTERS = frozenset("mwMWNOQGDHU@%&…")
ACCENT = "var(--chart-accent, #0f9d8a)"
OTHER = "var(--chart-other, #d9822b)"
_LINES = ("#0f9d8a", "#d9822b", "#7d6bd1", "#d1558f", "#4f8fd6", "#8aa328", "#c0504d", "#8c8c8c")
MOST_LINES = len(_LINES)
_DASHES = ("none", "6 3", "2 3", "8 3 2 3")  # lines differ without their colour, too


class Interval(Protocol):
    """What a chart needs of a row; `board.ModelRow` has it."""

    @property
    def name(self) -> str: ...
    @property
    def rating(self) -> float: ...
    @property
    def lower(self) -> float: ...
    @property
    def upper(self) -> float: ...


class Pair(Protocol):
    """Votes between two models; `board.PairRow` has it."""

    @property
    def model_a(self) -> str: ...
    @property
    def model_b(self) -> str: ...
    @property
    def votes(self) -> int: ...
    @property
    def wins_a(self) -> float: ...
    @property
    def wins_b(self) -> float: ...
    @property
    def ties(self) -> float: ...
    @property
    def both_bad(self) -> float: ...


class Dot(NamedTuple):
    name: str
    x: float
    y: float


class Moment(NamedTuple):
    at: float  # UTC seconds; all before it counts
    ratings: Mapping[str, float]


def ratings(rows: Sequence[Interval], title: str) -> str:
    """A line a model: its rating as a dot on its interval."""
    if not rows:
        return ""
    return _ratings(rows, title, WIDTH) + _ratings(rows, title, NARROW_WIDTH)


def _ratings(rows: Sequence[Interval], title: str, width: float) -> str:
    names = [_fitting(row.name, width * 0.45) for row in rows]
    left = _label_width(names)
    axis = _Axis(min(row.lower for row in rows), max(row.upper for row in rows), left, width - 16)
    height = len(rows) * _ROW + 40
    marks = [*axis.below(8, height - 28)]
    for at, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = 8 + _ROW * (at + 0.5)
        said = f"{row.name}: {row.rating:.1f} ({row.lower:.1f} – {row.upper:.1f})"
        marks.append(
            _group(
                said,
                _text(left - 10, y + 4, name, anchor="end"),
                _line(axis.at(row.lower), y, axis.at(row.upper), y, stroke=ACCENT, width=3, opacity=0.45),
                _circle(axis.at(row.rating), y, 4, ACCENT),
            )
        )
    return _svg(title, height, marks, width)


def win_rates(names: Sequence[str], pairs: Iterable[Pair], title: str) -> str:
    """How often the model of a row beats that of a column; ties and both-bad are half a win."""
    cells: dict[tuple[str, str], _Cell] = {}
    for pair in pairs:
        votes = pair.wins_a + pair.wins_b + pair.ties + pair.both_bad
        share = (pair.wins_a + (pair.ties + pair.both_bad) / 2) / votes
        for row, column, rate in ((pair.model_a, pair.model_b, share), (pair.model_b, pair.model_a, 1 - share)):
            said = f"{row} against {column}: {rate:.1%} of {pair.votes:,} votes"
            cells[row, column] = _Cell(
                f"{rate:.0%}".rstrip("%"), ACCENT if rate >= 0.5 else OTHER, abs(rate - 0.5) * 1.6, said
            )
    return _heat_map(names, cells, title)


def battle_counts(names: Sequence[str], pairs: Iterable[Pair], title: str) -> str:
    listed = set(names)
    seen = [pair for pair in pairs if pair.model_a in listed and pair.model_b in listed]
    most = max((pair.votes for pair in seen), default=1)
    cells: dict[tuple[str, str], _Cell] = {}
    for pair in seen:
        for row, column in ((pair.model_a, pair.model_b), (pair.model_b, pair.model_a)):
            said = f"{row} and {column}: {pair.votes:,} votes"
            cells[row, column] = _Cell(_brief(pair.votes), ACCENT, 0.8 * math.sqrt(pair.votes / most), said)
    return _heat_map(names, cells, title)


class _Cell(NamedTuple):
    text: str
    colour: str
    opacity: float
    said: str


def _heat_map(names: Sequence[str], cells: Mapping[tuple[str, str], _Cell], title: str) -> str:
    if not names:
        return ""
    left = _label_width(map(_short, names))
    leaning = left * math.cos(_LEANING)  # how far the last column's name reaches to the right
    side = max(14.0, min(34.0, (WIDTH - left - leaning) / len(names)))
    top, width = left * math.sin(_LEANING), left + side * len(names) + leaning
    marks = []
    for at, name in enumerate(names):
        middle = side * (at + 0.5)
        marks.append(_text(left - 8, top + middle + 4, _short(name), anchor="end"))
        marks.append(_text(left + middle + 4, top - 8, _short(name), turned=True))
    for y, row in enumerate(names):
        for x, column in enumerate(names):
            cell = cells.get((row, column))
            if cell is None:
                continue
            at_x, at_y = left + side * x, top + side * y
            inside = [_box(at_x, at_y, side - 1, cell.colour, cell.opacity)]
            if side >= 22:
                inside.append(_text(at_x + side / 2, at_y + side / 2 + 3.5, cell.text, anchor="middle", size=10))
            marks.append(_group(cell.said, *inside))
    return _svg(title, top + side * len(names) + 8, marks, width, kind="")


def scatter(
    dots: Sequence[Dot],
    title: str,
    x_label: str,
    y_label: str,
    *,
    better: Literal["less", "more"] | None = None,
    is_log: bool = True,
) -> str:
    """`better`: which side of the horizontal axis one wants; then the best that can be had are joined."""
    dots = [dot for dot in dots if math.isfinite(dot.x) and (dot.x > 0 or not is_log)]
    if not dots:
        return ""
    return "".join(
        _scatter(dots, title, x_label, y_label, better, is_log=is_log, width=width) for width in (WIDTH, NARROW_WIDTH)
    )


def _scatter(
    dots: Sequence[Dot],
    title: str,
    x_label: str,
    y_label: str,
    better: Literal["less", "more"] | None,
    *,
    is_log: bool,
    width: float,
) -> str:
    height, left, right, bottom = 420, 64 if width == WIDTH else 46, width - 24, 372
    x_axis = _Axis(min(dot.x for dot in dots), max(dot.x for dot in dots), left, right, is_log=is_log)
    y_axis = _Axis(min(dot.y for dot in dots), max(dot.y for dot in dots), bottom, 20)
    front = pareto_front(dots, better) if better else []
    marks = [*x_axis.below(20, bottom), *y_axis.beside(left, right)]
    marks.append(_text((left + right) / 2, height - 6, x_label, anchor="middle"))
    marks.append(_text(left, 12, y_label))
    if len(front) > 1:
        path = " ".join(f"{_px(x_axis.at(dot.x))},{_px(y_axis.at(dot.y))}" for dot in front)
        marks.append(
            f'<polyline points="{path}" fill="none" stroke="{OTHER}" stroke-width="1.5" stroke-dasharray="4 3"/>'
        )
    named = {dot.name for dot in (front or sorted(dots, key=lambda dot: -dot.y)[:12])}
    taken: list[tuple[float, float, float]] = []
    for dot in dots:
        x, y = x_axis.at(dot.x), y_axis.at(dot.y)
        said = f"{dot.name}: {y_label} {dot.y:.0f}, {x_label} {dot.x:,.4g}"
        inside = [_circle(x, y, 4.5, OTHER if dot in front else ACCENT)]
        name = _fitting(dot.name, max(x - 8, width - x - 8))
        is_right = x + 8 + _wide(name) > width
        start = x - 8 - _wide(name) if is_right else x + 8
        end = start + _wide(name)
        if dot.name in named and all(end < other or start > last or abs(y - at) > 12 for other, last, at in taken):
            inside.append(_text(x - 8 if is_right else x + 8, y - 6, name, anchor="end" if is_right else ""))
            taken.append((start, end, y))
        marks.append(_group(said, *inside))
    return _svg(title, height, marks, width)


def pareto_front(dots: Sequence[Dot], better: Literal["less", "more"]) -> list[Dot]:
    """Those that no other beats in one thing without losing in the other; by the horizontal axis."""
    sign = 1 if better == "less" else -1
    front: list[Dot] = []
    for dot in sorted(dots, key=lambda dot: (sign * dot.x, -dot.y, dot.name)):
        if not front or dot.y > front[-1].y:
            front.append(dot)
    return sorted(front, key=lambda dot: dot.x)


def history(moments: Sequence[Moment], names: Sequence[str], title: str) -> str:
    """Ratings over time, a line a model; as many as can be told apart."""
    names = [name for name in names if any(name in moment.ratings for moment in moments)][:MOST_LINES]
    values = [moment.ratings[name] for moment in moments for name in names if name in moment.ratings]
    if len(moments) < 2 or not values:
        return ""
    return "".join(_history(moments, names, values, title, width) for width in (WIDTH, NARROW_WIDTH))


def _history(moments: Sequence[Moment], names: Sequence[str], values: Sequence[float], title: str, width: float) -> str:
    """Names stand at the lines' ends; in a narrow one below them."""
    is_wide = width == WIDTH
    height, left, right, bottom = 380, 56 if is_wide else 46, width - 190 if is_wide else width - 16, 340
    x_axis = _Axis(moments[0].at, moments[-1].at, left, right)
    y_axis = _Axis(min(values), max(values), bottom, 16)
    marks = [*y_axis.beside(left, right), *_days(moments, x_axis, bottom)]
    ends: list[tuple[float, str, str]] = []
    for at, name in enumerate(names):
        seen = [(moment.at, moment.ratings[name]) for moment in moments if name in moment.ratings]
        path = " ".join(f"{_px(x_axis.at(when))},{_px(y_axis.at(rating))}" for when, rating in seen)
        colour = f"var(--chart-{at + 1}, {_LINES[at]})"
        dashes = _DASHES[at % len(_DASHES)]
        marks.append(
            _group(
                f"{name}: {seen[0][1]:.0f} → {seen[-1][1]:.0f}",
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
                f'stroke-dasharray="{dashes}" stroke-linejoin="round"/>',
            )
        )
        ends.append((y_axis.at(seen[-1][1]), name, colour))
    x, lowest = (right + 12, 0.0) if is_wide else (left, bottom + 30.0)
    for y, name, colour in sorted(ends):
        lowest = max(y, lowest + 15)
        marks.append(_circle(x, lowest, 4, colour))
        marks.append(_text(x + 10, lowest + 4, _fitting(name, width - x - 14)))
    return _svg(title, max(height, lowest + 12), marks, width)


def _days(moments: Sequence[Moment], axis: "_Axis", bottom: float) -> Iterator[str]:
    for at, anchor in ((moments[0].at, "start"), (moments[-1].at, "end")):
        day = datetime.fromtimestamp(max(at - 1, EARLIEST), UTC)  # the midnight after a day is that day's end
        yield _text(axis.at(at), bottom + 20, f"{day:%Y-%m-%d}", anchor=anchor)


class _Axis:
    """From values to pixels; a little wider than what has to be shown."""

    def __init__(self, low: float, high: float, start: float, end: float, *, is_log: bool = False) -> None:
        self._scale: Callable[[float], float] = math.log10 if is_log else float
        self._is_log = is_log
        first, last = self._scale(low), self._scale(high)
        margin = (last - first) * 0.04 or max(abs(first) * 0.01, 0.1)
        self._low, self._high = first - margin, last + margin
        self._start, self._end = start, end
        self._most = max(2, min(6, int(abs(end - start) / 48)))  # marks whose numbers stand apart

    def at(self, value: float) -> float:
        share = (self._scale(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        if self._is_log:
            powers = range(math.floor(self._low), math.ceil(self._high) + 1)
            marks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
            inside = [mark for mark in marks if self._low <= math.log10(mark) <= self._high]
            if len(inside) > self._most:
                return [mark for mark in inside if f"{mark:e}".startswith("1.")]
            return inside if len(inside) > 2 else _round_marks(10**self._low, 10**self._high, self._most)
        return _round_marks(self._low, self._high, self._most)

    def below(self, top: float, bottom: float) -> Iterator[str]:
        for tick in self.ticks():
            x = self.at(tick)
            yield _line(x, top, x, bottom)
            yield _text(x, bottom + 18, _brief(tick), anchor="middle", opacity=0.75)

    def beside(self, left: float, right: float) -> Iterator[str]:
        for tick in self.ticks():
            y = self.at(tick)
            yield _line(left, y, right, y)
            yield _text(left - 8, y + 4, _brief(tick), anchor="end", opacity=0.75)


def _round_marks(low: float, high: float, most: int) -> list[float]:
    step = _round_step((high - low) / most)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def _brief(number: float) -> str:
    if abs(number) >= 10_000:
        return f"{number / 1000:.4g}k" if abs(number) < 1e6 else f"{number / 1e6:.3g}M"
    return f"{number:.6g}"


def _label_width(names: Iterable[str]) -> float:
    return 16 + max(map(_wide, names))


def _wide(text: str) -> float:
    """Pixels, about: whose letters they are drawn in, only the reader's browser knows."""
    return sum(
        13 if ord(letter) > 0x2E7F else 10 if letter in _WIDE_LETTERS else 8 if letter.isupper() else _PER_LETTER
        for letter in text
    )


def _fitting(name: str, room: float) -> str:
    """As much of it as there is room for."""
    longest = _LONGEST
    while longest > 4 and _wide(_short(name, longest)) > room:
        longest -= 1
    return _short(name, longest)


def _short(name: str, longest: int = _LONGEST) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def escaped(text: str) -> str:
    """Names come from others. Characters that XML cannot hold are left out."""
    return html.escape("".join(letter for letter in text if letter.isprintable()))


def _px(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _svg(title: str, height: float, marks: Iterable[str], width: float, kind: str | None = None) -> str:
    kind = (WIDE if width == WIDTH else NARROW) if kind is None else kind
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="{f"fc-chart {kind}".strip()}" '
        f'aria-label="{escaped(title)}" viewBox="0 0 {_px(width)} {_px(height)}" width="{_px(width)}" '
        f'height="{_px(height)}" font-size="{_TEXT}"><title>{escaped(title)}</title>{"".join(marks)}</svg>'
    )


def _group(said: str, *marks: str) -> str:
    return f"<g><title>{escaped(said)}</title>{''.join(marks)}</g>"


def _text(
    x: float, y: float, text: str, *, anchor: str = "", size: int = 0, opacity: float = 1, turned: bool = False
) -> str:
    extra = f' text-anchor="{anchor}"' if anchor else ""
    extra += f' font-size="{size}"' if size else ""
    extra += f' opacity="{opacity}"' if opacity < 1 else ""
    extra += f' transform="rotate(-60 {_px(x)} {_px(y)})"' if turned else ""
    return f'<text x="{_px(x)}" y="{_px(y)}" fill="currentColor"{extra}>{escaped(text)}</text>'


def _line(
    x1: float, y1: float, x2: float, y2: float, *, stroke: str = "currentColor", width: float = 1, opacity: float = 0.12
) -> str:
    return (
        f'<line x1="{_px(x1)}" y1="{_px(y1)}" x2="{_px(x2)}" y2="{_px(y2)}" stroke="{stroke}" '
        f'stroke-width="{width}" stroke-opacity="{opacity}" stroke-linecap="round"/>'
    )


def _circle(x: float, y: float, radius: float, fill: str) -> str:
    return f'<circle cx="{_px(x)}" cy="{_px(y)}" r="{radius}" fill="{fill}"/>'


def _box(x: float, y: float, side: float, fill: str, opacity: float) -> str:
    return (
        f'<rect x="{_px(x)}" y="{_px(y)}" width="{_px(side)}" height="{_px(side)}" rx="2" fill="{fill}" '
        f'fill-opacity="{opacity:.2f}"/>'
    )
