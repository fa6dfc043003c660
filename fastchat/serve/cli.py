"""`python3 -m fastchat.serve.cli` is `fastchat chat`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("chat")
