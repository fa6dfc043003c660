"""`python3 -m fastchat.data.optional_clean` drops languages, or digits that repeat."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("fastchat_data", ["optional_clean", *sys.argv[1:]])
