"""`python3 -m fastchat.data.prepare_all` does all steps, as FastChat did for Vicuna."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["prepare_all", *sys.argv[1:]])
