"""`python3 -m fastchat.llm_judge.show_result`: FastChat's tables of one file of judgments, with intervals behind."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    from fastchat.llm_judge.results.estimates import Estimate
    from fastchat.llm_judge.results.table import Table

_ENDS = ("lower", "upper")  # of intervals of 95 %


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    kind = "single" if flags.mode == "single" else "pair"
    file = flags.input_file or Path("data", flags.bench_name, "model_judgment", f"{flags.judge_model}_{kind}.jsonl")
    from fastchat.llm_judge.results.rendering import text

    tables = _scores(file, flags.model_list) if flags.mode == "single" else _wins(file, flags)
    print(f"Mode: {flags.mode}\nInput file: {file}\n")
    print(text(tables), end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="show_result", description="What one file of judgments says. All of a folder: fastchat bench show DIR"
    )
    parser.add_argument("--bench-name", default="mt_bench", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--input-file", type=Path, metavar="FILE", help="default: that of the bench, judge and mode")
    parser.add_argument("--judge-model", default="gpt-4", metavar="MODEL", help="default: %(default)s")
    parser.add_argument("--baseline-model", default="gpt-3.5-turbo", metavar="MODEL", help="default: %(default)s")
    parser.add_argument("--model-list", nargs="+", metavar="MODEL", help="default: all")
    parser.add_argument(
        "--mode",
        default="single",
        choices=("pairwise-baseline", "pairwise-all", "single"),
        help="scores, games against the baseline, or all games (default: %(default)s)",
    )
    return parser


def _scores(file: Path, models: Sequence[str] | None) -> "list[Table]":
    from fastchat.llm_judge.files import read_rows
    from fastchat.llm_judge.records import SingleVerdict
    from fastchat.llm_judge.results.scores import FAILED, score_board

    rows = [row for row in read_rows(file, SingleVerdict) if models is None or row.model in models]
    if all(row.score == FAILED for row in rows):
        raise SetupError(f"{file} has no score{' of these models' if models else ''}.")
    board = score_board(rows, {})
    titles = {1: "First turn", 2: "Second turn"}
    tables = []
    for turn in sorted({turn for row in board.models for turn in row.turns}):
        found = [(row.model, row.turns[turn]) for row in board.models if turn in row.turns]
        found.sort(key=lambda row: -row[1].value)
        lines = tuple((model, str(turn), *_numbers(score)) for model, score in found)
        tables.append(_table(titles.get(turn, f"Turn {turn}"), ("model", "turn", "score", *_ENDS), lines))
    averages = tuple((row.model, *_numbers(row.score)) for row in board.models)
    return [*tables, _table("Average", ("model", "score", *_ENDS), averages)] if len(tables) > 1 else tables


def _wins(file: Path, flags: argparse.Namespace) -> "list[Table]":
    from fastchat.llm_judge.files import read_rows
    from fastchat.llm_judge.records import PairVerdict
    from fastchat.llm_judge.results.games import is_readable
    from fastchat.llm_judge.results.pairwise import win_table
    from fastchat.llm_judge.results.reading import latest, pair_key, turned_pairs

    baseline = flags.baseline_model if flags.mode == "pairwise-baseline" else None
    # As FastChat has it, the list chooses by the first model of a pair.
    rows = [row for row in read_rows(file, PairVerdict) if flags.model_list is None or row.model_1 in flags.model_list]
    if turned := turned_pairs(rows).total():
        print(f"Pairs that are in the file twice, once with each model first: {turned}. The last counts.")
        rows = latest(rows, pair_key)
    wins = win_table([row for row in rows if is_readable(row)], baseline)
    if not wins:
        against = f" against {baseline!r}; name another with --baseline-model" if baseline else ""
        raise SetupError(f"{file} has no verdict on a pair{against}.")
    lines = tuple(
        (
            row.model,
            *map(str, (row.win, row.loss, row.tie)),
            f"{row.win_rate:.6f}",
            f"{row.loss_rate:.6f}",
            *_numbers(row.win_rate_adjusted),
        )
        for row in wins
    )
    columns = ("model", "win", "loss", "tie", "win_rate", "loss_rate", "win_rate_adjusted", *_ENDS)
    return [_table(flags.mode, columns, lines)]


def _table(title: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> "Table":
    from fastchat.llm_judge.results.table import Table

    return Table(f"########## {title} ##########", columns, rows)


def _numbers(found: "Estimate") -> tuple[str, ...]:
    return tuple("" if number is None else f"{number:.6f}" for number in (found.value, found.lower, found.upper))
