"""`python3 -m fastchat.data.pretty_json` indents a JSON file."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["pretty_json", *sys.argv[1:]])
