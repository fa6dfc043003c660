"""`python3 -m fastchat.data.clean_sharegpt` is `fastchat data clean` with FastChat's rules."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["clean_sharegpt", *sys.argv[1:]])
