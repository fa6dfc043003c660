"""`python3 -m fastchat.serve.huggingface_api` is `fastchat answer`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("answer")
