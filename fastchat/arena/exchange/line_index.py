"""Where in some log files the lines of each conversation stand: a table on disk, so that files of any size can be read.

FastChat writes a line for each side, and only a vote or a share tells which two sides belong together.
"""

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, Self

from fastchat.arena.exchange.assembling import LogLine, Pair
from fastchat.arena.exchange.log_files import Malformed, RawLine, log_of, parse, states_of
from fastchat.arena.records import Outcome

_TABLES = """
CREATE TABLE lines (digest BLOB PRIMARY KEY, side TEXT, at REAL, is_vote INT, file INT, offset INT, length INT)
    WITHOUT ROWID;
CREATE TABLE pairs (left TEXT PRIMARY KEY, right TEXT UNIQUE) WITHOUT ROWID;
PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF;
"""
# Votes are to be cast in the order of their time, so conversations come in the order of their votes.
_GROUPS = """
SELECT coalesce(as_left.left, as_right.left, side) AS left, coalesce(as_left.right, as_right.right) AS right,
       file, offset, length,
       min(CASE WHEN is_vote THEN at END) OVER conversation AS voted_at, min(at) OVER conversation AS began_at
FROM lines LEFT JOIN pairs AS as_left ON as_left.left = side LEFT JOIN pairs AS as_right ON as_right.right = side
WINDOW conversation AS (PARTITION BY coalesce(as_left.left, as_right.left, side))
ORDER BY coalesce(voted_at, began_at), left, at, file, offset
"""


class Place(NamedTuple):
    file: Path
    offset: int
    length: int


class LineIndex:
    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "lines.sqlite", isolation_level=None, check_same_thread=False)
        self._database.executescript(_TABLES)
        self._files: list[Path] = []

    def __enter__(self) -> Self:
        self._database.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, raw: RawLine) -> bool:
        """False: the same line was there already.

        Raises:
            Malformed: it is no line of FastChat's, or pairs sides that others are paired with.
        """
        line = LogLine(parse(raw.data))
        sides = [str(state["conv_id"]) for state in states_of(line.line)]
        if len(sides) > 1:
            self._pair(*sides)
        if not self._files or self._files[-1] != raw.file:
            self._files.append(raw.file)
        place = (len(self._files) - 1, raw.offset, len(raw.data))
        row = (line.digest, sides[0], line.at, line.kind in list(Outcome), *place)
        return self._database.execute("INSERT OR IGNORE INTO lines VALUES (?, ?, ?, ?, ?, ?, ?)", row).rowcount > 0

    def conversations(self) -> Iterator[tuple[Pair, list[Place]]]:
        rows = self._database.execute(_GROUPS)
        for (left, right), group in groupby(rows, itemgetter(0, 1)):
            yield Pair(left, right), [Place(self._files[row[2]], row[3], row[4]) for row in group]

    def _pair(self, left: str, right: str) -> None:
        if left == right:
            raise Malformed(f"has the conversation {left} on both sides")
        query = "SELECT left, right FROM pairs WHERE left IN (?1, ?2) OR right IN (?1, ?2)"
        known = self._database.execute(query, (left, right)).fetchall()
        if not known:
            self._database.execute("INSERT INTO pairs VALUES (?, ?)", (left, right))
        elif known != [(left, right)]:
            raise Malformed(f"pairs {left} with {right}, and another line pairs {known[0][0]} with {known[0][1]}")


def load(place: Place) -> LogLine:
    """As it stands in the file, its address included."""
    with place.file.open("rb") as file:
        file.seek(place.offset)
        return LogLine(parse(file.read(place.length)), log_of(place.file))
