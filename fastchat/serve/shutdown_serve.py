"""`python3 -m fastchat.serve.shutdown_serve` is `fastchat shutdown`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("shutdown")
