"""`python3 -m fastchat.data.merge` is `fastchat data merge`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["merge", *sys.argv[1:]])
