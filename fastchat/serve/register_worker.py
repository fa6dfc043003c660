"""`python3 -m fastchat.serve.register_worker` is `fastchat register`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("register")
