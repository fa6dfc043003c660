"""`python3 -m fastchat.serve.gradio_web_server_multi` is `fastchat web --arena`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("web", ["--arena", *sys.argv[1:]])
