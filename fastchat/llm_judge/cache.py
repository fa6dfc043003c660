"""Replies by what was asked: the same call again costs nothing.

A folder of small files, named by the SHA-256 of model, messages, parameters, schema and seed. Each is written whole or
not at all, so several processes may share a folder. A model is known by its name only: whoever puts another model
behind a name starts another folder.
"""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.llm_judge.asking import Ask, Call, Reply


def digest(call: Call) -> str:
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
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Cache:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.hits = 0
        self.misses = 0

    def find(self, call: Call) -> Reply | None:
        """A file that cannot be read counts as none: it is asked again, and written anew."""
        try:
            reply = Reply(**json.loads(self._file(call).read_bytes()))
        except (OSError, ValueError, TypeError):
            self.misses += 1
            return None
        self.hits += 1
        return reply

    def keep(self, call: Call, reply: Reply) -> None:
        """
        Raises:
            SetupError: there is no room, or no permission.
        """
        file = self._file(call)
        half = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            half.write_text(json.dumps(asdict(reply)), "utf-8")
            half.replace(file)
        except OSError as error:
            with suppress(OSError):
                half.unlink(missing_ok=True)
            raise SetupError(f"The cache {self._folder} cannot be written to: {error.strerror or error}.") from None

    def _file(self, call: Call) -> Path:
        name = digest(call)
        return self._folder / name[:2] / f"{name}.json"


def cached(ask: Ask, cache: Cache, *, afresh: bool = False) -> Ask:
    """Ask only for what the cache lacks. `afresh` asks in any case, and puts the reply in place of the old one."""

    async def ask_once(call: Call) -> Reply:
        reply = None if afresh else cache.find(call)
        if reply is None:
            reply = await ask(call)
            cache.keep(call, reply)
        return reply

    return ask_once
