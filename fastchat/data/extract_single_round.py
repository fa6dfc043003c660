"""`python3 -m fastchat.data.extract_single_round` is `fastchat data convert --first-round`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["extract_single_round", *sys.argv[1:]])
