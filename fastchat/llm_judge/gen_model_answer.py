"""`python3 -m fastchat.llm_judge.gen_model_answer` is `fastchat bench answer` with a model that is loaded here."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("bench", ["answer", "--bench-name", "mt_bench", *sys.argv[1:]])
