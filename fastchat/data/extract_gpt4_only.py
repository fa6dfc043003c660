"""`python3 -m fastchat.data.extract_gpt4_only` is `fastchat data convert --models gpt4`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["extract_gpt4_only", *sys.argv[1:]])
