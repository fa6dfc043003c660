"""`python3 -m fastchat.model.convert_fp16` is `fastchat weights convert-fp16`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("weights", ["convert-fp16", *sys.argv[1:]])
