"""`python3 -m fastchat.serve.controller` is `fastchat controller`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("controller")
