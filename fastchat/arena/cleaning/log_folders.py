"""Where FastChat's logs are, and which of their lines cannot be read."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fastchat.arena.exchange.log_files import Malformed, parse, read
from fastchat.core.errors import SetupError

_NAME = re.compile(r"(?:.+-)?(\d{4}-\d{2}-\d{2})-conv\.jsonl?")
FOLDERS = ("~/fastchat_logs/server*", "~/fastchat_logs")  # FastChat's, of any number of servers; else of one
# Folders that servers were told to write to, ours and FastChat's.
VARIABLES = ("FASTCHAT_WEB_CONV_LOG_DIR", "LOGDIR")


class BrokenLine(NamedTuple):
    place: str  # file:line
    reason: str


def find_logs(given: Sequence[Path] = (), most: int | None = None) -> list[Path]:
    """Of the files and folders that are given; without any, of the first place that has some. The newest if there are
    more than `most`, the oldest first.

    Raises:
        SetupError: there are none.
    """
    files = _among(given) if given else next(filter(None, map(_among, _places())), [])
    if not files:
        looked = ", ".join(map(str, given)) or ", ".join([*FOLDERS, *(f"${name}" for name in VARIABLES), "this folder"])
        raise SetupError(
            f"There are no logs of FastChat's in {looked}. Their names end in YYYY-MM-DD-conv.json; say where they are "
            "with --logs."
        )
    files.sort(key=lambda file: (_day(file), file.stat().st_mtime, str(file)))
    return files[-most:] if most else files


def _day(file: Path) -> str:
    """As its name says, since copies are newer than they should be."""
    match = _NAME.fullmatch(file.name)
    return match[1] if match else f"{datetime.fromtimestamp(file.stat().st_mtime, UTC):%Y-%m-%d}"


def _places() -> Iterator[list[Path]]:
    for pattern in FOLDERS:
        place = Path(pattern).expanduser()
        yield [folder for folder in place.parent.glob(place.name) if folder.is_dir()]
    for name in VARIABLES:
        folder = Path(os.environ.get(name) or os.devnull)
        yield [folder] if folder.is_dir() else []
    yield [Path()]


def _among(places: Iterable[Path]) -> list[Path]:
    files = []
    for place in places:
        if place.is_dir():
            found = place.glob("*") if place == Path() else place.rglob("*")
            files += [file for file in found if _NAME.fullmatch(file.name) and file.is_file()]
        elif place.exists():
            files.append(place)
        else:
            raise SetupError(f"There is no file or folder {place}.")
    return files


def broken_lines(files: Iterable[Path]) -> Iterator[BrokenLine]:
    """Lines that were cut off, and votes that are none of FastChat's. Of other lines only the ends are looked at."""
    for file in files:
        for line in read(file):
            data = line.data.strip()
            if data.startswith(b"{") and data.endswith(b"}") and b'vote"' not in data:
                continue
            try:
                parse(data)
            except Malformed as reason:
                yield BrokenLine(line.place, str(reason))
