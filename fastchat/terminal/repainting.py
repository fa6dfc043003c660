"""The end of an answer, repainted in place without flicker.

Lines that are finished are printed once and scroll up like any other output. Below them stands what may still change:
only lines that differ are written again, in one write, and never more of them than the window has rows, since what has
scrolled away cannot be repainted.
"""

from collections.abc import Sequence

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"  # terminals that know it show what is between them at once


class LivePart:
    """The lines at the bottom that may change. The cursor stands below them."""

    def __init__(self) -> None:
        self._shown: list[str] = []

    def repaint(self, finished: Sequence[str], unfinished: Sequence[str], window_rows: int) -> str:
        """What has to be written to print `finished` and to show `unfinished`, as much of its end as fits."""
        room = max(1, window_rows - 1)
        shown = list(unfinished[-room:])
        lines = [*finished, *shown]
        kept = _common(self._shown, lines)
        stale = len(self._shown) - kept
        self._shown = shown
        if not stale and len(lines) == kept:
            return ""
        up = f"\x1b[{stale}A\r" if stale else ""
        # Cleared before it is written: after a line that fills the row, clearing would take its last character.
        written = "".join(f"\x1b[K{line}\n" for line in lines[kept:])
        return f"{_BEGIN}{up}{written}\x1b[J{_END}"


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines both begin with."""
    for number, (before, after) in enumerate(zip(old, new, strict=False)):
        if before != after:
            return number
    return min(len(old), len(new))
