"""`python3 -m fastchat.serve.monitor.elo_analysis`: FastChat's analysis of battles, with its flags and its files."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output

if TYPE_CHECKING:
    from fastchat.arena.leaderboard.board import Board
    from fastchat.arena.leaderboard.building import BoardOptions
    from fastchat.arena.leaderboard.votes import VoteTable

_TEXTS = ("conv_a", "conv_b")


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    from fastchat.arena.leaderboard.building import build

    votes = _votes(flags)
    options = _options(flags, votes)
    now = time.time()
    board = build(votes, options, now=now)
    _print(board)
    _write(board, votes, options, now)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="elo_analysis", description="Ratings from battles. The new command is: fastchat leaderboard build"
    )
    parser.add_argument("--clean-battle-file", type=Path, metavar="FILE", help="default: FastChat's logs")
    parser.add_argument("--max-num-files", type=int, metavar="N", help="of logs, the newest")
    parser.add_argument("--num-bootstrap", type=int, default=100, metavar="N", help="rounds (default: %(default)s)")
    parser.add_argument("--rating-system", choices=("bt", "elo"), default="bt", help="default: %(default)s")
    parser.add_argument("--exclude-models", nargs="+", default=[], metavar="MODEL")
    parser.add_argument("--exclude-tie", action="store_true", help="and both-bad")
    parser.add_argument("--exclude-unknown-lang", action="store_true", help="prompts whose language is not known")
    parser.add_argument("--exclude-url", action="store_true", help="had no effect in FastChat, and has none here")
    parser.add_argument("--langs", nargs="+", default=[], metavar="LANGUAGE", help="of prompts; others are left out")
    parser.add_argument("--daily-vote-per-user", type=int, metavar="N", help="the first of each day, in UTC")
    parser.add_argument("--run-outlier-detect", action="store_true", help="leave out voters who vote unlike all others")
    parser.add_argument("--category", nargs="+", default=["full"], metavar="NAME", help="full, long, english, …")
    parser.add_argument("--scale", type=float, default=1, help="had an effect on plots; none here")
    parser.add_argument("--style-control", action="store_true")
    parser.add_argument("--num-cpu", type=int, default=12, metavar="N", help="none is needed; without effect")
    return parser


def _votes(flags: argparse.Namespace) -> "VoteTable":
    from fastchat.arena.cleaning.log_folders import find_logs
    from fastchat.arena.leaderboard.reading import read_votes

    files = [flags.clean_battle_file] if flags.clean_battle_file else find_logs((), flags.max_num_files)
    votes = read_votes(files, needs=_TEXTS)
    if not flags.exclude_unknown_lang:
        return votes
    if not votes.has("language"):
        raise SetupError("--exclude-unknown-lang: the battles do not say the language of their prompts.")
    return votes.where(votes.frame["language"].fill_null("unknown") != "unknown")


def _options(flags: argparse.Namespace, votes: "VoteTable") -> "BoardOptions":
    from fastchat.arena.leaderboard.elo_analysis import Analysis

    analysis = Analysis(
        rating_system=flags.rating_system,
        num_bootstrap=flags.num_bootstrap,
        categories=tuple(flags.category),
        exclude_models=tuple(flags.exclude_models),
        exclude_tie=flags.exclude_tie,
        languages=tuple(flags.langs),
        daily_votes=flags.daily_vote_per_user,
        quarantine=flags.run_outlier_detect,
        style_control=flags.style_control,
    )
    return analysis.options(votes)


def _print(board: "Board") -> None:
    from fastchat.arena.leaderboard.elo_analysis import ALL
    from fastchat.arena.leaderboard.rendering.markdown import markdown

    for step in board.cleaning:
        print(f"{step.kept:>9} left after {step.rule!r}: {step.dropped} dropped, {step.why}", file=sys.stderr)
    for name in board.categories:
        print(f"# Results for {ALL if name == 'overall' else name} conversations\n")
        print(markdown(board, name))


def _write(board: "Board", votes: "VoteTable", options: "BoardOptions", now: float) -> None:
    """Into this folder, as FastChat did."""
    from fastchat.arena.leaderboard.elo_analysis import beside, day_of
    from fastchat.arena.leaderboard.rendering.fastchat_pickle import fastchat_pickle

    day = day_of(votes, now)
    results, ours = Path(f"elo_results_{day}.pkl"), Path(f"elo_results_{day}.json")
    write_output(results, fastchat_pickle(board, beside(votes, options)))
    write_output(ours, board.model_dump_json().encode())
    print(f"{results}: for FastChat's pages\n{ours}: for ours, and for `fastchat leaderboard`")
