"""`python3 -m fastchat.llm_judge.compute_agreement`: how often two kinds of judges agree, as in the MT-bench paper."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    from fastchat.llm_judge.results.agreement import Agreement, Agreements


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    from fastchat.llm_judge.results.agreement import agreements
    from fastchat.llm_judge.results.opinions import read_votes

    opinions = [vote for file in flags.votefiles for vote in read_votes(file)]
    one, other = flags.judges
    kinds = sorted({vote.kind for vote in opinions})
    missing = [kind for kind in (one, other) if kind not in kinds]
    if missing:
        raise SetupError(f"No votes of {' and '.join(missing)} in these files; there are {', '.join(kinds) or 'none'}.")
    turns = sorted({vote.item.turn for vote in opinions})
    by_turn = {turn: agreements([vote for vote in opinions if vote.item.turn == turn], one, other) for turn in turns}
    for turn, found in by_turn.items():
        print(_line(turn, "with", found.with_ties.random))
        print(_line(turn, "without", found.without_ties.random))
    for turn, found in by_turn.items():
        print(f"turn {turn} beyond chance. {_beyond_chance(found)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="compute_agreement",
        description="How often two kinds of judges agree. See also: fastchat bench show --votes",
    )
    parser.add_argument(
        "--judges",
        nargs=2,
        default=["gpt4-pair", "human"],
        metavar="KIND",
        help="kinds of judges: human, author, gpt4-pair, MODEL-pair (default: gpt4-pair human)",
    )
    parser.add_argument(
        "--votefiles",
        nargs="+",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON lists, or lines, of votes; or judgments",
    )
    return parser


def _line(turn: int, ties: str, found: "Agreement | None") -> str:
    start = f"turn {turn} {ties} tie. "
    if found is None:
        return f"{start}No two of these judges voted on the same answers."
    line = f"{start}#total: {found.total:.0f}, #agree: {found.agreed:.0f}, ratio: {found.share.value:.2f}"
    if found.share.lower is None or found.share.upper is None:
        return line
    return f"{line} ({found.share.lower:.2f} … {found.share.upper:.2f})"


def _beyond_chance(found: "Agreements") -> str:
    from fastchat.llm_judge.results.table import number_text

    named = {"kappa": found.kappa, "alpha": found.alpha, "AC1": found.ac1}
    said = [f"{name}: {number_text(value)}" for name, value in named.items() if value is not None]
    return ", ".join(said) or "Nothing to tell."
