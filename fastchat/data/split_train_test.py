"""`python3 -m fastchat.data.split_train_test` makes the halves FastChat made."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["split_train_test", *sys.argv[1:]])
