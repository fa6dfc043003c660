"""`python3 -m fastchat.model.make_delta` is `fastchat weights make-delta`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("weights", ["make-delta", *sys.argv[1:]])
