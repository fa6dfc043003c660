"""What of this machine decides how is trained."""

import os
from typing import NamedTuple


class Machine(NamedTuple):
    has_accelerator: bool
    has_tf32: bool
    processes: int = 1  # that torchrun started


def this_machine() -> Machine:
    import torch
    from transformers.utils import is_torch_tf32_available

    return Machine(
        has_accelerator=torch.accelerator.is_available(),
        has_tf32=is_torch_tf32_available(),
        processes=int(os.environ.get("WORLD_SIZE", "1")),
    )


def is_first_process() -> bool:
    """The one that speaks."""
    return os.environ.get("RANK", "0") == "0"
