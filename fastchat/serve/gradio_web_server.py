"""`python3 -m fastchat.serve.gradio_web_server` is `fastchat web`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("web")
