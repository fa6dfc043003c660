"""`python3 -m fastchat.data.inspect_data` is `fastchat data inspect`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["inspect_data", *sys.argv[1:]])
