"""Where a tuned model came from: what it was trained on, from which base, by which code and how. `lineage.json`.

It lies beside the weights, in every checkpoint and in the finished model.
"""

import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastchat

NAME = "lineage.json"
_FORMAT = 1
_LIBRARIES = ("torch", "transformers", "accelerate", "peft", "tokenizers", "trl", "bitsandbytes", "deepspeed")


@dataclass(frozen=True, slots=True)
class DataFile:
    name: str
    sha256: str
    bytes: int

    @classmethod
    def of(cls, file: Path) -> "DataFile":
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return cls(file.name, digest, file.stat().st_size)


@dataclass(frozen=True, slots=True)
class Lineage:
    method: str  # sft, lora, …
    base: str  # as it was named
    base_config: str  # digest of the base's config.json
    base_lineage: Mapping[str, Any] | None  # of a base that we tuned too
    prompt_format: str
    prompt_format_digest: str
    data: Sequence[DataFile]
    conversations: int
    samples: int
    trained_tokens: int  # in one epoch
    told: Mapping[str, Any]  # the flags or the recipe
    votes: Sequence[str] = ()  # ids of the votes that preferences came from
    code: Mapping[str, Any] = field(default_factory=lambda: code_version())
    libraries: Mapping[str, str] = field(default_factory=lambda: library_versions())
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def write(self, folder: Path, **progress: Any) -> None:
        """`progress` is what is known by now: steps, epoch, losses."""
        values = {"format": _FORMAT, **asdict(self), **progress}
        (folder / NAME).write_text(json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n", "utf-8")


def read(folder: Path) -> dict[str, Any] | None:
    """What a folder says of itself; None if it says nothing readable."""
    try:
        values = json.loads((folder / NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def file_digest(file: Path) -> str:
    return DataFile.of(file).sha256 if file.is_file() else ""


def library_versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def code_version() -> dict[str, Any]:
    """The version, and of a checkout the commit and whether files differ from it."""
    version: dict[str, Any] = {"fastchat": fastchat.__version__}
    folder = Path(fastchat.__file__).parent
    if (folder.parent / ".git").exists() and (commit := _git(folder, "rev-parse", "HEAD")) is not None:
        version |= {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "--", "."))}
    return version


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
