"""A table of texts, and numbers with their intervals as texts."""

from dataclasses import dataclass

from fastchat.llm_judge.results.estimates import Estimate

_NO_WIDTH = 1e-9  # of an interval, but for rounding


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]  # the first is of names, the others of numbers
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def number_text(found: Estimate | None, digits: int = 2) -> str:
    """Without an interval that has no width: where all questions tell the same, nobody knows what others would."""
    if found is None:
        return ""
    if found.lower is None or found.upper is None or found.upper - found.lower < _NO_WIDTH:
        return f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f} ({found.lower:.{digits}f} … {found.upper:.{digits}f})"


def plain_text(found: Estimate | None) -> str:
    return "" if found is None else f"{found.value:.2f}"


def percent_text(share: Estimate) -> str:
    if share.lower is None or share.upper is None:
        return f"{100 * share.value:.0f} %"
    return f"{100 * share.value:.0f} % ({100 * share.lower:.0f} … {100 * share.upper:.0f})"


def ranks_text(best: int, worst: int) -> str:
    return str(best) if best == worst else f"{best}-{worst}"
