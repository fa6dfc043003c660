"""`python3 -m fastchat.serve.vllm_worker` is `fastchat vllm`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("launched", ["vllm", *sys.argv[1:]])
