"""Where files of ours live on this machine, after the XDG base directory specification."""

import os
from pathlib import Path


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
