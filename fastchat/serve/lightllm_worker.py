"""`python3 -m fastchat.serve.lightllm_worker` is `fastchat lightllm`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("launched", ["lightllm", *sys.argv[1:]])
