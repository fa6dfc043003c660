"""A comparison of two sets of judgments as tables of texts."""

from collections.abc import Iterator

from fastchat.llm_judge.results.compare import FIRST, SECOND, Comparison, Part, Side
from fastchat.llm_judge.results.table import Table, number_text
from fastchat.llm_judge.results.tables import agreement_tables

_SHOWN = 20  # changes


def comparison_tables(found: Comparison) -> Iterator[Table]:
    notes: tuple[str, ...] = ()
    if found.other_answers:
        notes = (
            f"Of {found.answers} answers in both folders {found.other_answers} are not the same text: what differs is "
            "not due to the judges alone.",
        )
    sides = (_side(FIRST, found.first), _side(SECOND, found.second))
    columns = ("", "folder", "judge", "prompts", "verdicts", "of these alone", "not to be had")
    yield Table("Compared", columns, sides, notes)
    if found.scores:
        yield from _part("Scores", found.scores)
    if found.wins:
        yield from _part("Wins (a tie is half of one)", found.wins)


def _side(name: str, side: Side) -> tuple[str, ...]:
    return name, side.name, side.judge, ", ".join(side.prompts), *map(str, (side.verdicts, side.alone, side.failures))


def _part(title: str, part: Part) -> Iterator[Table]:
    rows = tuple(
        (
            shift.model,
            f"{shift.first:.2f}",
            f"{shift.second:.2f}",
            number_text(shift.difference),
            str(shift.verdicts),
            f"{100 * shift.equal / shift.verdicts:.0f} %",
        )
        for shift in part.shifts
    )
    note = "On what both have judged; paired, with intervals of 95 % that allow for questions."
    columns = ("model", FIRST, SECOND, f"{SECOND} - {FIRST}", "verdicts", "equal")
    yield Table(title, columns, rows, (note,))
    if part.agreement:
        yield from agreement_tables([part.agreement])
    if part.changes:
        yield _changes(title, part)


def _changes(title: str, part: Part) -> Table:
    rows = tuple(
        (
            f"{change.model} against {change.place.other}" if change.place.other else change.model,
            str(change.place.question_id),
            str(change.place.turn),
            f"{change.first:g}",
            f"{change.second:g}",
        )
        for change in part.changes[:_SHOWN]
    )
    more = len(part.changes) - len(rows)
    notes = (f"{more} more are in the JSON.",) if more else ()
    return Table(f"{title}: what changed", ("model", "question", "turn", FIRST, SECOND), rows, notes)
