"""`python3 -m fastchat.data.convert_alpaca` is `fastchat data convert`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["convert_alpaca", *sys.argv[1:]])
