"""Tables for the terminal, and a report as Markdown and as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.results.report import JudgeReport, Report
from fastchat.llm_judge.results.table import Table
from fastchat.llm_judge.results.tables import tables


def text(shown: Iterable[Table], width: int = 120) -> str:
    with io.StringIO() as out:
        console = Console(file=out, width=width)
        for table in shown:
            console.print(Text(f"{table.title}\n", style="bold"))
            if table.rows:
                console.print(_drawn(table))
            for note in table.notes:
                console.print(Text(note))
            console.print()
        return out.getvalue()


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(box=None, pad_edge=False)
    for at, column in enumerate(table.columns):
        drawn.add_column(Text(column), justify="right" if at else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))  # names of models are no markup
    return drawn


def markdown(report: Report) -> str:
    return "\n".join(_markdown(table) for table in tables(report))


def _markdown(table: Table) -> str:
    lines = [f"## {table.title}", ""]
    if table.rows:
        marks = ["---", *["---:"] * (len(table.columns) - 1)]
        lines += [_line(table.columns), _line(marks), *map(_line, table.rows), ""]
    return "\n".join([*lines, *(f"{note}\n" for note in table.notes)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def csv_text(report: Report) -> str:
    """One line a number: what, of whom, value, error, lower and upper end."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["judge", "what", "of", "part", "value", "error", "lower", "upper"])
    for model in report.checked:
        for part, share in {"all": model.passed, **model.categories}.items():
            writer.writerow(["", "passed", model.model, part, share.value, share.error, share.lower, share.upper])
    for row in report.static:
        if number := row.score:
            part = f"{row.task} {row.metric}"
            writer.writerow(["", "benchmark", row.model, part, number.value, number.error, number.lower, number.upper])
    for judge in report.judges:
        for what, of, part, number in _numbers(judge):
            writer.writerow([judge.judge, what, of, part, number.value, number.error, number.lower, number.upper])
    return out.getvalue()


def _numbers(judge: JudgeReport) -> Iterator[tuple[str, str, str, Estimate]]:
    if judge.scores:
        for row in judge.scores.models:
            yield "score", row.model, "all", row.score
            yield from (("score", row.model, f"turn {turn}", score) for turn, score in row.turns.items())
            yield from (("score", row.model, name, score) for name, score in row.categories.items())
        for pair in judge.scores.differences:
            yield "score difference", pair.model, pair.other, pair.difference
    if judge.pairs:
        yield from (("win rate", row.model, "all", row.win_rate_adjusted) for row in judge.pairs.wins)
        for rating in judge.pairs.ratings:
            yield "rating", rating.model, "all", Estimate(rating.rating, None, rating.lower, rating.upper)
        if place := judge.pairs.position:
            for name in ("consistent", "first", "second"):
                yield "position", "judge", name, getattr(place, name)
    yield from (("style", "score", name, effect) for name, effect in judge.score_style_effects.items())
    yield from (("style", "log-odds", name, effect) for name, effect in judge.pair_style_effects.items())
    for board in judge.lists:
        size = f"lists of {len(board.models)}"
        for each in board.models:
            yield "mean rank", each.model, size, each.mean_rank
            yield "came first", each.model, size, each.first
        for rating in board.ratings:
            yield "rating", rating.model, size, Estimate(rating.rating, None, rating.lower, rating.upper)
        yield "position", "judge", size, board.order_effect
