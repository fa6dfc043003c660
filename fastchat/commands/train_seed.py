"""FastChat's training scripts: `torchrun … fastchat/train/train_mem.py`, `python3 -m fastchat.train.train_lora`, …"""

import os
from collections.abc import Sequence

from fastchat.commands.train_errors import file_errors
from fastchat.train.machine import is_first_process, this_machine
from fastchat.train.prerequisites import check_libraries, quiet_libraries


def main(argv: Sequence[str] | None = None) -> None:
    """The first argument is the script's name.

    Raises:
        SetupError: what its user has to mend.
    """
    name, *given = argv or ()
    check_libraries()
    quiet_libraries()
    from fastchat.train import seed_parsing
    from fastchat.train.tuning import tune

    parsed = seed_parsing.parse(name, given, this_machine(), os.environ)
    for note in parsed.notes:
        _say(note)
    if parsed.model.cache_dir:
        os.environ["HF_HUB_CACHE"] = parsed.model.cache_dir
    with file_errors():
        output = tune(seed_parsing.plan_of(name, parsed, given), _say)
    _say(f"finished. Serve it with: fastchat worker --model-path {output}")


def _say(note: str) -> None:
    if is_first_process():
        print(f"fastchat: {note}", flush=True)
