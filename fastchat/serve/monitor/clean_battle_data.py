"""`python3 -m fastchat.serve.monitor.clean_battle_data` is `fastchat votes clean`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("votes", ["clean", *sys.argv[1:]])
