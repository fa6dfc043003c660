"""`python3 -m fastchat.llm_judge.show_result` shows what one file says; for a folder there is `fastchat bench show`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("show_result")
