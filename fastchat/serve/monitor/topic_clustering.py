"""`python3 -m fastchat.serve.monitor.topic_clustering` is `fastchat topics cluster`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("topics", ["cluster", *sys.argv[1:]])
