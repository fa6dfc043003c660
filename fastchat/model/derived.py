"""Files made from other files, once, and kept in the cache: a converted or requantised copy of a model."""

import fcntl
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.core.places import cache_dir

log = logging.getLogger(__name__)


def derived(source: Path, name: str, make: Callable[[Path], object]) -> Path:
    """What `make` makes of this state of a file. `make` gets the path to write to, and leaves nothing if it fails.

    Raises:
        SetupError: there is no such file; or what `make` raises.
    """
    try:
        state = source.resolve().stat()
    except OSError:
        raise SetupError(f"There is no file {str(source)!r}.") from None
    key = hashlib.sha256(f"{source.resolve()}:{state.st_size}:{state.st_mtime_ns}".encode()).hexdigest()[:12]
    target = cache_dir() / "converted" / f"{source.stem}-{key}{name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may want the same file at the same time
        if not target.exists():
            log.info("making %s from %s, once", target, source)
            make(target)
    return target
