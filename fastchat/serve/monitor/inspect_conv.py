"""`python3 -m fastchat.serve.monitor.inspect_conv` is `fastchat votes inspect`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("votes", ["inspect", *sys.argv[1:]])
