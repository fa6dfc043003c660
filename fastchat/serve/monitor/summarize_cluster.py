"""`python3 -m fastchat.serve.monitor.summarize_cluster` is `fastchat topics summarize`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("topics", ["summarize", *sys.argv[1:]])
