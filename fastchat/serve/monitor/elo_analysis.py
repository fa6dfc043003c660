"""`python3 -m fastchat.serve.monitor.elo_analysis` is, with FastChat's flags, `fastchat leaderboard build`."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("elo_analysis")
