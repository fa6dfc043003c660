"""`python3 -m fastchat.serve.mlx_worker` is `fastchat mlx`."""

import sys

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("launched", ["mlx", *sys.argv[1:]])
