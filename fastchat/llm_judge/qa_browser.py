"""`python3 -m fastchat.llm_judge.qa_browser` is `fastchat bench browse`, with FastChat's bench."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("bench", ["browse", "--bench-name", "mt_bench", *sys.argv[1:]])
