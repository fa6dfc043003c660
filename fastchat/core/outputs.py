"""Files that somebody names as an output: whole at every moment, and in nobody else's place."""

import os
from pathlib import Path

from fastchat.core.errors import SetupError


def write_output(file: Path, content: bytes) -> None:
    """What is there is replaced when the new one is whole; a device or a pipe is written to.

    Raises:
        SetupError: it cannot be written.
    """
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(content)
        else:
            _replace(file.resolve(), content)  # of a link, what it leads to
    except OSError as error:
        raise SetupError(f"{file} cannot be written: {error.strerror or error}.") from None


def _replace(file: Path, content: bytes) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
