"""`RESULTS.md`: the records of the last runs as Markdown."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.results import Aim, Cell, Record, Table

_HEAD = """# What we measured

Made by `python -m benchmarks`; [README.md](README.md) tells what is measured and how to run it.
Latencies and rates depend on what else the machine does; CPU times and ratios much less.
"""


def render(records: Sequence[Record]) -> str:
    parts = [_HEAD, "## Aims", _aims(records, explanations()), *(_section(record) for record in records)]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def explanations() -> Mapping[str, str]:
    """Key of an aim → why it is missed."""
    return tomllib.loads((Path(__file__).parent / "explanations.toml").read_text())


def _aims(records: Sequence[Record], reasons: Mapping[str, str]) -> str:
    rows = [
        (aim.text, _wanted(aim), _number(aim.measured, aim.unit), _verdict(aim), _explanation(aim, reasons))
        for record in records
        for aim in record.findings.aims
    ]
    return _markdown(("aim", "wanted", "measured", "", "if not, why"), rows)


def _wanted(aim: Aim) -> str:
    if aim.at_most is not None:
        return f"≤ {_number(aim.at_most, aim.unit)}"
    return f"≥ {_number(aim.at_least, aim.unit)}"


def _verdict(aim: Aim) -> str:
    return {True: "met", False: "**missed**", None: "not measured"}[aim.is_met]


def _explanation(aim: Aim, reasons: Mapping[str, str]) -> str:
    return "" if aim.is_met else reasons.get(aim.key, "")


def _section(record: Record) -> str:
    machine = record.machine
    facts = [
        f"{machine.cores} cores of {machine.cpu}, {machine.memory_gib:g} GiB, {machine.system}",
        f"{record.date}, load average {machine.load_average:g} at the start",
        f"took {record.wall_s:.0f} s and {record.cpu_s:.0f} s of CPU time",
    ]
    if record.is_quick:
        facts.append("a quick run: enough to see that it works, too short for its numbers")
    used = ", ".join(f"{name} {number}" for name, number in record.versions.items())
    tables = [_table(table) for table in record.findings.tables]
    return "\n".join([f"## {record.title}", "", "; ".join(facts) + ".", "", f"With {used}.", "", *tables])


def _table(table: Table) -> str:
    note = f"\n{table.note}\n" if table.note else ""
    return f"### {table.title}\n{note}\n{_markdown(table.columns, table.rows)}"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    lines = [_line(columns), "|" + "---|" * len(columns)]
    lines += [_line([cell if isinstance(cell, str) else _number(cell) for cell in row]) for row in rows]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, unit: str = "") -> str:
    """Three significant digits, or all of a large number."""
    if value is None:
        return "–"
    digits = next(digits for limit, digits in ((100, 0), (10, 1), (1, 2), (0, 3)) if abs(value) >= limit)
    if value == int(value):
        digits = 0
    return f"{value:,.{digits}f}{' ' * bool(unit) + unit}"
