"""Giving a finished file its name, if nothing has it yet: for keys and backups, which must not be overwritten."""

import os
from pathlib import Path


def give_name(draft: Path, file: Path) -> None:
    """The file is there whole or not at all. Where the file system has no hard links, it is empty for a moment.

    Raises:
        FileExistsError: something has this name.
    """
    try:
        os.link(draft, file)
        draft.unlink()
        return
    except FileExistsError:
        raise
    except OSError:  # FAT, SMB and others; each says it with a number of its own
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        draft.replace(file)
    except OSError:
        file.unlink()
        raise
