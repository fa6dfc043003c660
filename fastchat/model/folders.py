"""Folders that are there whole or not at all: built under another name beside their place, then renamed."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fastchat.core.errors import SetupError


def partial(target: Path) -> Path:
    """Where `target` is built: on the same disk, hidden, and the same after a restart."""
    return target.with_name(f".{target.name}.partial")


@contextmanager
def built_whole(target: Path, *, overwrite: bool = False, keeps_partial: bool = False) -> Iterator[Path]:
    """The folder to build in; it becomes `target` when the block ends well.

    With `keeps_partial` what an interrupted run left is handed over to go on from, and left when this run fails too.

    Raises:
        SetupError: something is at `target` already, somebody else is writing it, or the disk is full.
    """
    check_free(target, overwrite=overwrite)
    folder = partial(target)
    with disk_errors(target), _alone(target):
        if not keeps_partial and folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield folder
        except BaseException:
            if not keeps_partial:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        _replace(folder, target)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Two that write the same folder would take each other's files for their own."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise SetupError(f"'{target}' is being written by another process. Wait, or give another path.") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def check_free(target: Path, *, overwrite: bool = False) -> None:
    """
    Raises:
        SetupError: something other than an empty folder is there.
    """
    if target.is_dir() and not target.is_symlink() and (overwrite or not any(target.iterdir())):
        return
    if target.exists() or target.is_symlink():
        hint = "" if overwrite else ", or give --overwrite to replace the folder"
        raise SetupError(f"There is something at '{target}' already. Give another path{hint}.")


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """A full or read-only disk in the words of our own errors."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        raise SetupError(
            f"'{target}' cannot be written: {error.strerror}. Make room or give another path, and run this again."
        ) from None


def _replace(folder: Path, target: Path) -> None:
    if not target.exists():
        os.rename(folder, target)
        return
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    os.rename(target, old)
    os.rename(folder, target)
    shutil.rmtree(old, ignore_errors=True)
