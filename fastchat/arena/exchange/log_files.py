"""FastChat's log files: reading them line by line, and writing them, a file a day."""

import json
import os
import re
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fastchat.arena.exchange.fastchat_lines import ONE_SIDED, Line
from fastchat.core.errors import SetupError

TEXT = ""
VISION = "vision-tmp"
_NAME = re.compile(r"(?:(?P<log>.+)-)?\d{4}-\d{2}-\d{2}-conv\.json(?:l)?")


class Malformed(Exception):
    """Says what is wrong with a line."""


class RawLine(NamedTuple):
    file: Path
    number: int  # from 1
    offset: int
    data: bytes

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"


class _State(BaseModel):
    model_config = ConfigDict(extra="allow", protected_namespaces=())

    conv_id: str = Field(min_length=1)
    messages: list[tuple[str, Any]]  # Any: a text, nothing, or a text with names of images


class _OneSided(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: Literal["chat", "upvote", "downvote", "flag"]
    tstamp: float
    state: _State


class _TwoSided(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: Literal["leftvote", "rightvote", "tievote", "bothbad_vote", "share"]
    tstamp: float
    models: list[str | None] = Field(min_length=2, max_length=2)
    states: list[_State] = Field(min_length=2, max_length=2)


class _SharedChat(BaseModel):
    """`share` of a page with one model."""

    model_config = ConfigDict(extra="allow")

    type: Literal["share"]
    tstamp: float
    state: _State


_LINE: TypeAdapter[_OneSided | _TwoSided | _SharedChat] = TypeAdapter(_OneSided | _TwoSided | _SharedChat)
_TYPES = (*ONE_SIDED, "leftvote", "rightvote", "tievote", "bothbad_vote", "share")


def read(file: Path, start: int = 0) -> Iterator[RawLine]:
    """Every line that is not empty. A file of any length; a line is held, the file is not."""
    try:
        with file.open("rb") as stream:
            stream.seek(start)
            offset = start
            for number, data in enumerate(stream, 1):
                if data.strip():
                    yield RawLine(file, number, offset, data)
                offset += len(data)
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}.") from None


def parse(data: bytes) -> Line:
    """
    Raises:
        Malformed: it is no line of FastChat's.
    """
    try:
        line = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"is not JSON: {error}") from None
    if not isinstance(line, dict):
        raise Malformed("is not a JSON object")
    if line.get("type") not in _TYPES:
        raise Malformed(f"has the type {line.get('type')!r}; known: {', '.join(_TYPES)}")
    try:
        _LINE.validate_python(line)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        first = next((item for item in found if item["type"] != "literal_error"), found[0])
        place = ".".join(map(str, first["loc"][1:]))
        raise Malformed(f"{place}: {first['msg']}") from None
    return line


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def states_of(line: Line) -> list[Line]:
    return line["states"] if "states" in line else [line["state"]]


def log_of(file: Path) -> str:
    """What stands before the date: nothing for texts, `vision-tmp` for pictures."""
    match = _NAME.fullmatch(file.name)
    return (match["log"] or TEXT) if match else TEXT


def file_name(log: str, at: float, zone: tzinfo | None = None) -> str:
    """Of the day at that place; `zone` is the machine's own if none is given."""
    day = datetime.fromtimestamp(at, zone) if zone else datetime.fromtimestamp(at).astimezone()
    return "-".join(part for part in (log, f"{day:%Y-%m-%d}", "conv.json") if part)


def encode(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=True).encode() + b"\n"


class DailyFiles:
    """Appends lines; each is one write, so that readers and other writers never see a half."""

    def __init__(self, folder: Path, zone: tzinfo | None = None) -> None:
        self._folder = folder
        self._zone = zone
        self._name = ""
        self._file: int | None = None

    def append(self, log: str, at: float, line: Line) -> None:
        name = file_name(log, at, self._zone)
        if name != self._name or self._file is None:
            self.close()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._name = name
        os.write(self._file, encode(line))

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
