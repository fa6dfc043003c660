"""`python3 -m fastchat.data.hardcoded_questions` is `fastchat data identity`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["hardcoded_questions", *sys.argv[1:]])
