"""`python3 -m fastchat.data.filter_wrong_format` drops lists that count 1. 1.."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["filter_wrong_format", *sys.argv[1:]])
