"""`python3 -m fastchat.serve.monitor.monitor` is `fastchat monitor`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("monitor")
