"""The leaderboard's charts: what is drawn of the ratings that are shown. Each is fetched when it is unfolded."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from fastchat.arena.leaderboard import charts
from fastchat.web.panels import paragraph
from fastchat.web.rated import Rated
from fastchat.web.texts import Texts

RATINGS, WIN_RATES, BATTLES, HISTORY, FACTS = "ratings", "win_rates", "battles", "history", "facts"
_MOST_SQUARES = 25  # models; more cannot be read


class _Fact(NamedTuple):
    name: str  # of a field of `ModelFacts`
    better: Literal["less", "more"]


_FACTS = (
    _Fact("price", "less"),
    _Fact("parameters_b", "less"),
    _Fact("tokens", "less"),
    _Fact("first_token_s", "less"),
    _Fact("tokens_per_s", "more"),
)


def charts_of(shown: Rated) -> Iterator[str]:
    """Names of those that there is something to draw for."""
    if shown.rows:
        yield RATINGS
    if shown.category.pairs:
        yield from (WIN_RATES, BATTLES)
    if shown.category.votes and shown.name == shown.categories[0]:
        yield HISTORY
    if shown.rows:
        yield FACTS


async def chart(name: str, shown: Rated, texts: Texts) -> str:
    """HTML of one; in words where there is too little to draw."""
    title = texts(f"board_chart_{name}")
    drawn = await _drawn(name, shown, title, texts)
    told = paragraph(texts(f"board_chart_{name}_is"))
    if name in (WIN_RATES, BATTLES):
        if len(shown.rows) > _MOST_SQUARES:
            told += paragraph(texts("board_first", count=_MOST_SQUARES, total=len(shown.rows)))
        told += f'<p class="fc-board-aside">{texts.html("board_aside")}</p>'
    if name == HISTORY:
        if shown.can_be_raw:
            told += paragraph(texts("board_plain"))
        if len(shown.rows) > charts.MOST_LINES:
            told += paragraph(texts("board_first", count=charts.MOST_LINES, total=len(shown.rows)))
    return told + (f'<div class="fc-board-chart" tabindex="0" role="group">{drawn}</div>' if drawn else "")


async def _drawn(name: str, shown: Rated, title: str, texts: Texts) -> str:
    names = [row.name for row in shown.rows]
    if name == RATINGS:
        return charts.ratings(shown.rows, title)
    if name == WIN_RATES:
        listed = names[:_MOST_SQUARES]
        return charts.win_rates(listed, shown.category.pairs, title)
    if name == BATTLES:
        return charts.battle_counts(names[:_MOST_SQUARES], shown.category.pairs, title)
    if name == HISTORY:
        moments = [charts.Moment(point.until, point.ratings) for point in await shown.history()]
        return charts.history(moments, names, title)
    return "".join(_facts(shown, texts))


def _facts(shown: Rated, texts: Texts) -> Iterator[str]:
    votes = [charts.Dot(row.name, float(row.votes), row.rating) for row in shown.rows]
    yield _scatter(votes, "votes", None, texts)
    for fact in _FACTS:
        known = ((row, getattr(shown.facts_of(row.name), fact.name)) for row in shown.rows)
        dots = [charts.Dot(row.name, float(value), row.rating) for row, value in known if value is not None]
        if dots:
            yield _scatter(dots, fact.name, fact.better, texts)


def _scatter(dots: Sequence[charts.Dot], fact: str, better: Literal["less", "more"] | None, texts: Texts) -> str:
    label, points = texts(f"board_fact_{fact}"), texts("board_points")
    return charts.scatter(dots, f"{points} / {label}", label, points, better=better)
