"""Several variants of one model in the arena: how many were tested, which are shown, and what the best gains by luck.

Who tests many and shows the best shows chance as skill: the best of n equal variants stands E[max of n normal
numbers] standard errors above them. FastChat's successors were criticised for hiding the others; here all are listed.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from fastchat.arena.leaderboard.board import ModelFacts, ModelRow, VariantRow

# What stands behind a model's name when there are several of it: dates, numbers of versions, words of testers.
_ENDING = re.compile(
    r"[-_ .@]("
    r"20\d\d-?\d\d-?\d\d|\d{6}|\d{4}"
    r"|(?:v|r|rev|ver|version)[-_.]?\d+(?:\.\d+)*"
    r"|(?:preview|exp|experimental|beta|alpha|test|candidate|rc|variant|latest|checkpoint|ckpt|snapshot|run|seed"
    r"|anonymous|anon|early|grok\d?-testing)(?:[-_.]?(?:\d+|[a-z]))?"
    r")$",
    re.IGNORECASE,
)


def family_of(name: str, facts: Mapping[str, ModelFacts]) -> str:
    """As the table of models says, or else the name without what tells variants apart."""
    known = facts.get(name)
    if known and known.family:
        return known.family
    while shorter := _ENDING.search(name):
        if not shorter.start():
            break
        name = name[: shorter.start()]
    return name


def variant_rows(
    rows: Sequence[ModelRow],
    tested: Mapping[str, int],
    facts: Mapping[str, ModelFacts],
    unlisted: Collection[str],
    confidence: float = 0.95,
) -> tuple[VariantRow, ...]:
    """`tested`: votes of every model, shown or not; `rows`: of all of them, too, with intervals of this confidence."""
    errors_wide = 2 * float(ndtri((1 + confidence) / 2))
    families: dict[str, list[str]] = {}
    for name in tested:
        families.setdefault(family_of(name, facts), []).append(name)
    by_name = {row.name: row for row in rows}
    return tuple(
        _row(family, sorted(names), tested, by_name, unlisted, errors_wide)
        for family, names in sorted(families.items())
        if len(names) > 1
    )


def _row(
    family: str,
    names: Sequence[str],
    tested: Mapping[str, int],
    rows: Mapping[str, ModelRow],
    unlisted: Collection[str],
    errors_wide: float,
) -> VariantRow:
    listed = [name for name in names if name not in unlisted]
    placed = [rows[name] for name in names if name in rows]
    best = max(placed, key=lambda row: row.rating).name if placed else None
    errors = [(row.upper - row.lower) / errors_wide for row in placed]
    return VariantRow(
        family=family,
        tested={name: tested[name] for name in names},
        listed=tuple(listed),
        flagged=listed == [best],
        expected_gain=expected_maximum(len(placed)) * math.fsum(errors) / len(errors) if len(placed) > 1 else None,
    )


def expected_maximum(number: int) -> float:
    """Of so many independent standard normal numbers."""
    at = np.linspace(0, 12, 2401)
    # The integral of 1 - F(x)^n over the positive numbers, less that of F(x)^n over the negative ones.
    return float(np.trapezoid(1 - ndtr(at) ** number - ndtr(-at) ** number, at))
