"""`python3 -m fastchat.llm_judge.gen_api_answer` is `fastchat bench answer` with a model that somebody serves."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("bench", ["answer", "--bench-name", "mt_bench", "--model", "gpt-3.5-turbo", *sys.argv[1:]])
