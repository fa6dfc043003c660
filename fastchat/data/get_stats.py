"""`python3 -m fastchat.data.get_stats` is `fastchat data stats`, as FastChat printed it."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["get_stats", *sys.argv[1:]])
