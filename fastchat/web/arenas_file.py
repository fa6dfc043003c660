"""`arenas.yaml`, or its JSON: the arenas of an installation. What may stand in it is in `fastchat.arena.config`."""

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError

from fastchat.arena.config import ArenaConfig, ArenaFile
from fastchat.core.errors import SetupError


def read_arenas(file: Path) -> Mapping[str, ArenaConfig]:
    """Paths in it are read against its folder.

    Raises:
        SetupError: it cannot be read, or says something it may not.
    """
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"--arenas {file} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        raise SetupError(f"--arenas {file} is not YAML: {error}.") from None
    # Both forms: the arenas alone, and as they stand in fastchat.yaml.
    if isinstance(content, dict) and set(content) != {"arenas"}:
        content = {"arenas": content}
    try:
        return ArenaFile.model_validate(content or {}, context={"folder": file.absolute().parent}).arenas
    except ValidationError as error:
        complaints = (
            f"{file}: {'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors(include_url=False)
        )
        raise SetupError("\n".join(complaints)) from None
