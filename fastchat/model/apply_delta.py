"""`python3 -m fastchat.model.apply_delta` is `fastchat weights apply-delta`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("weights", ["apply-delta", *sys.argv[1:]])
