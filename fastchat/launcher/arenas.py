"""The arenas of a system: those of its configuration, and a first opponent where there would be nobody to meet."""

from collections.abc import Mapping
from pathlib import Path

from fastchat.arena.config import DEFAULT, ArenaConfig, ArenaFile, Variant
from fastchat.core.errors import SetupError
from fastchat.launcher.config import Config, LocalModel
from fastchat.model import builtin

BRIEF = "Answer in one or two short sentences."


def arenas_of(config: Config) -> Mapping[str, ArenaConfig]:
    """A battle takes two. Where the built-in model is all there is, it meets itself under another system message."""
    if DEFAULT in config.arenas or not _is_alone(config):
        return config.arenas
    name = config.served[0].served_names[0]
    opponent = Variant(model=name, system=BRIEF)
    return {**config.arenas, DEFAULT: ArenaConfig(variants={f"{name}-brief": opponent})}


def _is_alone(config: Config) -> bool:
    match config.served:
        case (LocalModel(model=model, names=names),):
            return model in builtin.ALIASES and len(names) < 2
    return False


def write_arenas(config: Config, file: Path) -> Path:
    """For the page's process to read.

    Raises:
        SetupError: it cannot be written.
    """
    content = ArenaFile(arenas=dict(arenas_of(config))).model_dump_json(exclude_unset=True, indent=2)
    try:
        file.write_text(content, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"{file} cannot be written: {error.strerror}. Choose another folder with --log-dir.") from None
    return file
