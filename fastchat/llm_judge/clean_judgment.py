"""`python3 -m fastchat.llm_judge.clean_judgment` writes a file of judgments without doubles."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("clean_judgment")
