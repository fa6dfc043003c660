"""What is said when a disk is full in the middle of a run."""

import errno

import pytest
from safetensors import SafetensorError

from fastchat.commands.train_errors import file_errors
from fastchat.core.errors import SetupError


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out/lineage.json"), "'out/lineage.json' cannot .* No space"),
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "of weights cannot be read or written: No space left on device. Checkpoints are kept",
        ),
        (
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 312128 vs 312020"),
            "of a checkpoint cannot .* the disk may be full",
        ),
    ],
)
def test_a_full_disk_is_told(error: Exception, says: str) -> None:
    with pytest.raises(SetupError, match=says), file_errors():
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), SafetensorError("header too small")])
def test_other_errors_are_as_they_were(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), file_errors():
        raise error
