"""`python3 -m fastchat.serve.monitor.leaderboard_csv_to_html` prints FastChat's table of models as HTML."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("leaderboard_csv")
