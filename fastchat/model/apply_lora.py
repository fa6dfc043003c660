"""`python3 -m fastchat.model.apply_lora` is `fastchat weights apply-lora`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("weights", ["apply-lora", *sys.argv[1:]])
