"""The arenas of an installation: `arenas.yaml` or its JSON, or a whole fastchat.yaml, of which only `arenas` is read.

What may stand in it is in `config`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from fastchat.arena.config import ArenaConfig, ArenaFile
from fastchat.core.errors import SetupError
from fastchat.core.yaml_places import line_of

_KEY = "arenas"


def read_arenas(file: Path) -> Mapping[str, ArenaConfig]:
    """Paths in it are read against its folder.

    Raises:
        SetupError: it cannot be read, or says something it may not.
    """
    try:
        text = file.read_text("utf-8")
        content = yaml.safe_load(text)
    except OSError as error:
        raise SetupError(f"--arenas {file} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"--arenas {file} is not UTF-8: {error}.") from None
    except yaml.YAMLError as error:
        raise SetupError(f"--arenas {file} is not YAML: {error}.") from None
    is_alone = not isinstance(content, dict) or _KEY not in content
    arenas = content if is_alone else content[_KEY]
    try:
        context = {"folder": file.absolute().parent}
        return ArenaFile.model_validate({_KEY: {} if arenas is None else arenas}, context=context).arenas
    except ValidationError as error:
        given = 1 if is_alone else 0  # keys of the place that are not in the file
        complaints = [_complaint(file, text, one["loc"][given:], one["msg"]) for one in error.errors(include_url=False)]
        raise SetupError("\n".join(complaints)) from None


def _complaint(file: Path, text: str, place: Sequence[str | int], message: str) -> str:
    keys = [part for part in place if part != "[key]"]
    line = line_of(yaml.compose(text, Loader=yaml.SafeLoader), keys)
    return f"{file}:{line}: {'.'.join(map(str, keys))}: {message}"
