"""`python3 -m fastchat.serve.sglang_worker` is `fastchat sglang`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("launched", ["sglang", *sys.argv[1:]])
