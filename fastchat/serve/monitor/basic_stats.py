"""`python3 -m fastchat.serve.monitor.basic_stats` is `fastchat votes stats`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("votes", ["stats", *sys.argv[1:]])
