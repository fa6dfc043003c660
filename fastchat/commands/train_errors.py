"""A full disk, or a file without permission, in the middle of a training run: what its user reads of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fastchat.core.errors import SetupError

_IN_RUST = re.compile(r"I/O error: (.+?)(?: \(os error \d+\))?$")  # as safetensors reports it
_IN_TORCH = ("PytorchStreamWriter failed", "inline_container")  # of torch.save, which says no more


@contextmanager
def file_errors() -> Iterator[None]:
    """
    Raises:
        SetupError: in place of what Python, safetensors and torch raise for files.
    """
    from safetensors import SafetensorError

    try:
        yield
    except OSError as error:
        place = f" {error.filename!r}" if error.filename else ""
        raise _told(place, error.strerror or str(error)) from None
    except SafetensorError as error:
        if (found := _IN_RUST.search(str(error))) is None:
            raise
        raise _told(" of weights", found[1]) from None
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _IN_TORCH):
            raise
        raise _told(" of a checkpoint", "the disk may be full") from None


def _told(place: str, why: str) -> SetupError:
    return SetupError(
        f"A file{place} cannot be read or written: {why}. Checkpoints are kept; the same line goes on from the last."
    )
