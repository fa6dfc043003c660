"""`python3 -m fastchat.serve.openai_api_server` is `fastchat api`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("api")
