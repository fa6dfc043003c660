"""Where files of ours live on this machine, after the XDG base directory specification."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, ValidationInfo


def cache_dir() -> Path:
    """Things that can be fetched or built again: models, converted weights."""
    return Path(os.environ.get("FASTCHAT_CACHE_DIR") or _xdg("XDG_CACHE_HOME", ".cache"))


def run_dir() -> Path:
    """Process ids and sockets of what runs. `FASTCHAT_RUN_DIR` keeps two installations on one machine apart."""
    return Path(os.environ.get("FASTCHAT_RUN_DIR") or _xdg("XDG_STATE_HOME", ".local/state") / "run")


def data_dir() -> Path:
    """What cannot be built again: votes, conversations, signing keys."""
    return Path(os.environ.get("FASTCHAT_DATA_DIR") or _xdg("XDG_DATA_HOME", ".local/share"))


def _xdg(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / fallback) / "fastchat"


def _in_folder(value: Path, info: ValidationInfo) -> Path:
    return info.context["folder"] / value.expanduser() if info.context else value


def _is_there(value: Path, info: ValidationInfo) -> Path:
    if info.context and not value.is_file():
        raise ValueError(f"there is no file {value}")
    return value


# A path in a configuration, read against the folder that its file is in: `folder` of pydantic's context.
LocalPath: TypeAlias = Annotated[Path, AfterValidator(_in_folder)]

# The same, of a file that has to be there.
LocalFile: TypeAlias = Annotated[LocalPath, AfterValidator(_is_there)]
