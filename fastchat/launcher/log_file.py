"""The file a child process writes to: found again after a crash, kept from growing for ever."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LAST_LINES = 12
LIMIT_BYTES = 20_000_000
_TAIL_BYTES = 16_000
# As `core.logs` writes them, for people and for machines.
_ROUTINE = re.compile(r'\d\d:\d\d:\d\d (DEBUG|INFO) |\{"time": "[^"]*", "level": "(DEBUG|INFO)"')


@dataclass(slots=True)
class LogFile:
    path: Path
    _life_begins_at: int = 0

    def open(self) -> BinaryIO:
        """For one life of the process."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.keep_small()
        log = self.path.open("ab")  # appending, so that cutting the file while it is written leaves no hole
        self._life_begins_at = log.tell()
        return log

    def last_lines(self) -> tuple[str, ...]:
        """The end of what was written in this life, without the routine; if all was routine, the last line."""
        if not self.path.exists():
            return ()
        with self.path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            begin = self._life_begins_at if self._life_begins_at <= end else 0  # it was cut meanwhile
            log.seek(max(begin, end - _TAIL_BYTES))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
        if end - begin > _TAIL_BYTES and len(lines) > 1:
            del lines[0]  # half a line
        telling = [line for line in lines if not _ROUTINE.match(line)]
        return tuple(telling[-LAST_LINES:] or lines[-1:])

    def keep_small(self, limit: int = LIMIT_BYTES) -> None:
        """Move what has grown too long to `….log.1`. The process that writes it notices nothing."""
        if self.path.exists() and self.path.stat().st_size > limit:
            shutil.copyfile(self.path, self.path.with_name(self.path.name + ".1"))
            os.truncate(self.path, 0)
