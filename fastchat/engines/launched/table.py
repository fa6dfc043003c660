"""Which servers can be launched, and how each is told what ours are told: `servers.toml`, read.

A server is one table there. Nothing here starts anything.
"""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, TypeAdapter

from fastchat.core.errors import SetupError
from fastchat.engines.base import Feature

Value: TypeAlias = str | int | float | bool | Sequence[str] | Mapping[str, str] | None
AsFile: TypeAlias = Callable[[str], str]  # text → the path of a file that holds it


class ServerKind(BaseModel):
    """One table of `servers.toml`, whose head says what the fields mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    health: str
    install: str
    slots: int
    features: tuple[Feature, ...]
    features_by_flag: Mapping[str, Feature] = {}
    flags: Mapping[str, tuple[str, ...]]
    package: str | None = None
    module: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    running: str | None = None
    waiting: str | None = None
    upstream: str | None = None
    api_key_env: str | None = None
    environ: Mapping[str, str] = {}

    @property
    def takes_keys(self) -> bool:
        return bool(self.api_key_env or self.flags.get("api_key"))

    def features_with(self, argv: Sequence[str]) -> tuple[Feature, ...]:
        """What it can do when it is started so."""
        given = {word.partition("=")[0] for word in argv}
        return (*self.features, *(feature for flag, feature in self.features_by_flag.items() if flag in given))

    def words(self, wanted: Mapping[str, Value], as_file: AsFile) -> list[str]:
        """The arguments that tell the server what is wanted. What is None, False or empty is not wanted.

        Raises:
            SetupError: the server has no flag for something that is.
        """
        words = []
        for name, value in wanted.items():
            if value is None or value is False or value in ((), "", {}):
                continue
            if name not in self.flags:
                raise SetupError(
                    f"{self.title} has nothing like --{name.replace('_', '-')} (given: {str(value)[:60]!r}). "
                    "Leave it out; flags of the server's own are passed on as they are, after -- also those that "
                    "look like ours."
                )
            for template in self.flags[name]:
                words += _fill(template, value, as_file)
        return words


def _fill(template: str, value: Value, as_file: AsFile) -> list[str]:
    if template in ("{*}", "{first}"):
        several = _several(value)
        return several if template == "{*}" else several[:1]
    if "{json}" in template:
        return [template.replace("{json}", json.dumps(value))]
    return [as_file(str(value)) if template == "{file}" else template.replace("{}", str(value))]


def _several(value: Value) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}={path}" for name, path in value.items()]
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [str(value)]


def load_kinds() -> dict[str, ServerKind]:
    """Name → server, as they stand in the table."""
    text = resources.files("fastchat.engines.launched").joinpath("servers.toml").read_text()
    return TypeAdapter(dict[str, ServerKind]).validate_python(tomllib.loads(text))


def as_flags(engine_args: Mapping[str, Any]) -> list[str]:
    """A server's own settings, as fastchat.yaml has them, as flags: `{"enforce_eager": true}` → `--enforce-eager`."""
    flags: list[str] = []
    for name, value in engine_args.items():
        flag = name if name.startswith("-") else f"--{name}"
        if isinstance(value, bool):
            flags += [flag] if value else []
        elif isinstance(value, list):
            flags += [flag, *map(str, value)]
        else:
            flags += [flag, json.dumps(value) if isinstance(value, dict) else str(value)]
    return flags
