"""The folder beside the file that is made, from which the same command line goes on.

OUT.distill/asked.json         what was asked of whom; another line does not go on here
OUT.distill/taught.jsonl       {"number": 3, "conversation": {"id": …, "messages": […]}}, in the order they were had
OUT.distill/failures.jsonl     {"id": …, "reason": …}, of the last run

A line is added by one write when a conversation is there. A process that is killed can leave half a line behind, which
is cut off before the next one is added.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output
from fastchat.data import writers
from fastchat.data.records import Conversation


class Notebook:
    """`open` it; then nobody else writes into the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taught = folder / "taught.jsonl"
        self._failures = folder / "failures.jsonl"
        self._places: dict[int, int] = {}  # where the line of an exercise begins

    @classmethod
    @contextmanager
    def open(cls, folder: Path, asked: Mapping[str, Any]) -> Iterator[Self]:
        """
        Raises:
            SetupError: another run writes there, or one that asked otherwise was begun there.
        """
        book = cls(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise SetupError(f"Another run writes into {folder}. Wait for its end, or name another OUT.") from None
        try:
            book._read()
            book._keep(asked)
            book._failures.unlink(missing_ok=True)
            yield book
        finally:
            lock.release()

    @property
    def done(self) -> frozenset[int]:
        """Numbers of exercises."""
        return frozenset(self._places)

    def add(self, number: int, conversation: Conversation) -> None:
        """
        Raises:
            SetupError: there is no room, or no permission.
        """
        row = {"number": number, "conversation": writers.messages(conversation)}
        self._places[number] = _append(self._taught, row)

    def add_failure(self, id: str, reason: str) -> None:
        """
        Raises:
            SetupError: likewise.
        """
        _append(self._failures, {"id": id, "reason": reason})

    def reasons(self) -> Counter[str]:
        """Of what failed in this run, and how often."""
        if not self._failures.exists():
            return Counter()
        with self._failures.open("rb") as stream:
            return Counter(json.loads(line)["reason"] for line in stream)

    def conversations(self) -> Iterator[Conversation]:
        """In the order of what was asked."""
        if not self._places:
            return
        with self._taught.open("rb") as stream:
            for _, place in sorted(self._places.items()):
                stream.seek(place)
                fields = json.loads(stream.readline())["conversation"]
                yield Conversation(fields.pop("id"), fields.pop("messages"), extra=fields)

    def _keep(self, asked: Mapping[str, Any]) -> None:
        file = self.folder / "asked.json"
        wanted = json.loads(json.dumps(asked))
        if not self._places or not file.exists():
            write_output(file, json.dumps(wanted, indent=2).encode() + b"\n")
            return
        try:
            before = json.loads(file.read_bytes())
            differing = [name for name in wanted if before.get(name) != wanted[name]]
        except (ValueError, AttributeError):
            raise SetupError(f"{file} is damaged. Delete {self.folder}, or name another OUT.") from None
        if differing:
            changes = "; ".join(f"{name} was {before.get(name)!r}, now {wanted[name]!r}" for name in differing)
            raise SetupError(
                f"{self.folder} was begun otherwise: {changes}. Go on as it was begun, or name another OUT; with the "
                "same --cache FOLDER, what was asked before costs nothing."
            )

    def _read(self) -> None:
        if not self._taught.exists():
            return
        end = 0
        with self._taught.open("r+b") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    self._places[json.loads(line)["number"]] = end
                except (ValueError, KeyError, TypeError):
                    raise SetupError(f"{self._taught}:{number} is none of its lines. Mend it or take it out.") from None
                end += len(line)
            stream.truncate(end)


def _append(file: Path, row: Mapping[str, Any]) -> int:
    """Where the line begins."""
    line = json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    with file.open("ab", buffering=0) as stream:
        place = stream.seek(0, os.SEEK_END)
        try:
            is_whole = stream.write(line) == len(line)
        except OSError as error:
            raise SetupError(f"{file} cannot be written to: {error.strerror or error}.") from None
        if not is_whole:
            stream.truncate(place)
            raise SetupError(f"{file} cannot be written to. Is the disk full?")
    return place
