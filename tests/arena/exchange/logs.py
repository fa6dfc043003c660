"""FastChat's logs for tests: the samples by hand, their lines, and stores that take them in."""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from fastchat.arena.exchange import exporting
from fastchat.arena.exchange.importing import Count, Importer
from fastchat.arena.exchange.keys import keys_of
from fastchat.arena.exchange.log_files import RawLine
from fastchat.arena.store.reading import Range, transcripts
from fastchat.arena.store.store import Store
from tests.arena.store.stories import NOW

SAMPLES = Path(__file__).parents[2] / "data" / "fastchat_logs"
SECRET = bytes(range(32))

Line = dict[str, Any]
Report = Callable[[RawLine, str], None]


def ignore(raw: RawLine, reason: str) -> None:
    """The malformed lines are not what this test is about."""


async def take_in(
    store: Store, files: Sequence[Path], *, report: Report = ignore, secret: bytes = SECRET
) -> Counter[Count]:
    importer = Importer(store, keys_of(secret), "default", lambda: NOW, report)
    return await importer.run(files)


async def give_out(store: Store, folder: Path) -> list[Path]:
    await store.read(lambda rows: exporting.export(transcripts(rows), folder, Range(), UTC))
    return sorted(folder.glob("*.json"))  # noqa: ASYNC240


def well_formed(files: Iterable[Path]) -> list[Line]:
    """Each line once, as `json` reads it, from files whose malformed lines are known."""
    lines: dict[str, Line] = {}
    for file in files:
        for text in file.read_text().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and ("state" in line or len(line.get("states", ())) == 2):
                lines[text] = line
    return list(lines.values())


def without_address(lines: Iterable[Line]) -> list[str]:
    """As texts that differ wherever JSON values do: 1 and 1.0 too."""
    return sorted(json.dumps({**line, "ip": None}, sort_keys=True) for line in lines)


def copied(line: Line, **changes: Any) -> Line:
    return {**copy.deepcopy(line), **changes}
