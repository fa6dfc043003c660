"""`python3 -m fastchat.data.optional_replace` breaks a model's control tokens in texts."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["optional_replace", *sys.argv[1:]])
