"""`python3 -m fastchat.serve.model_worker` is `fastchat worker`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("worker")
