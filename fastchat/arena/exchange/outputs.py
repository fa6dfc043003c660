"""Files that a command writes: new ones, for their owner alone, and gone again if they could not be finished."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_or_nothing(file: Path) -> Iterator[BinaryIO]:
    """
    Raises:
        FileExistsError: something is there; it stays as it is.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as opened:
            yield opened
    except BaseException:
        file.unlink(missing_ok=True)
        raise
