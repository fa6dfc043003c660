"""Replies by what was asked: the same call again costs nothing.

An SQLite file in a folder that runs may share, also at the same time; its keys are the SHA-256 of model, messages,
parameters, schema and seed. (A small file a reply costs more than all other work on a verdict.) A model is known by its
name only: whoever puts another model behind a name starts another folder.
"""

import hashlib
import json
import sqlite3
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastchat.core.errors import SetupError
from fastchat.llm_judge.asking import Ask, Call, Reply

_WAIT_S = 30.0  # for another process that writes
_TABLE = "CREATE TABLE IF NOT EXISTS replies (call BLOB PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID"


def digest(call: Call) -> bytes:
    """Two calls have the same one if a model that is asked for the same seed would answer both alike."""
    fields: dict[str, Any] = {
        "model": call.model,
        "messages": [dict(message) for message in call.messages],
        "temperature": float(call.temperature),
        "max_tokens": call.max_tokens,
        "seed": call.seed,
        "schema": call.schema,
        "extra": call.extra,
    }
    text = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=dict)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Cache:
    """
    Raises:
        SetupError: the folder cannot be written to, or what stands in it is no cache.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "replies.sqlite"
        self.hits = 0
        self.misses = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._replies = sqlite3.connect(self._file, timeout=_WAIT_S, isolation_level=None)
            self._replies.execute("PRAGMA journal_mode = WAL")
            self._replies.execute("PRAGMA synchronous = OFF")  # after a power cut, what is lost is asked again
            self._replies.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._replies.close()

    def find(self, call: Call) -> Reply | None:
        """
        Raises:
            SetupError: the file is damaged.
        """
        try:
            found = self._replies.execute("SELECT reply FROM replies WHERE call = ?", (digest(call),)).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        return Reply(**json.loads(found[0]))

    def keep(self, call: Call, reply: Reply) -> None:
        """
        Raises:
            SetupError: there is no room, or no permission.
        """
        row = (digest(call), json.dumps(asdict(reply)))
        try:
            self._replies.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", row)
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError | sqlite3.Error) -> SetupError:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return SetupError(
            f"The cache {self._file} cannot be used: {why}. Make room, delete it (what stands in it is asked again), "
            "or name another folder with --cache."
        )


def cached(ask: Ask, cache: Cache, *, afresh: bool = False) -> Ask:
    """Ask only for what the cache lacks. `afresh` asks in any case, and puts the reply in place of the old one."""

    async def ask_once(call: Call) -> Reply:
        reply = None if afresh else cache.find(call)
        if reply is None:
            reply = await ask(call)
            cache.keep(call, reply)
        return reply

    return ask_once
