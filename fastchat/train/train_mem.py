"""FastChat's script: `python3 -m fastchat.train.train_mem`, or this file under torchrun or deepspeed."""

import sys
from pathlib import Path

if __name__ == "__main__":
    if not __package__:  # by its path: this folder stands first where modules are looked for, and fastchat nowhere
        sys.path[0] = str(Path(__file__).resolve().parents[2])
    from fastchat.__main__ import run_command

    run_command("train_seed", ["train_mem", *sys.argv[1:]])
