"""Tables of the documents, as data for the tests that keep them true."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def feature_tables() -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """docs/models.md: feature → engine → cell, and option → engine → cell."""
    tables = []
    for first in ("feature", "option"):
        lines = (DOCS / "models.md").read_text().split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()
        engines = re.findall(r"`(\w+)`", lines[0])
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
        tables.append({row[0]: dict(zip(engines, row[1:], strict=True)) for row in rows})
    return tables[0], tables[1]
