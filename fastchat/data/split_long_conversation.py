"""`python3 -m fastchat.data.split_long_conversation` is `fastchat data split`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["split_long_conversation", *sys.argv[1:]])
