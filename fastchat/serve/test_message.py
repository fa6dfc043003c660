"""`python3 -m fastchat.serve.test_message` is `fastchat message`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("message")
