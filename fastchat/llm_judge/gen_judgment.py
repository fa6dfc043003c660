"""`python3 -m fastchat.llm_judge.gen_judgment` is `fastchat bench judge`, with FastChat's judge and baseline."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    usual = ["--bench-name", "mt_bench", "--judge", "gpt-4", "--baseline", "gpt-3.5-turbo"]
    run_command("bench", ["judge", *usual, *sys.argv[1:]])
