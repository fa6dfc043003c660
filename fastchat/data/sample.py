"""`python3 -m fastchat.data.sample` takes the sample FastChat took."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["sample", *sys.argv[1:]])
