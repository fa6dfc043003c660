"""`python3 -m fastchat.llm_judge.compute_agreement` says how often two kinds of judges agree."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("compute_agreement")
