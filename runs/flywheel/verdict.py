"""Whether the tuned model won, computed from boards: by how many points each rival is above its parent, with intervals.

python runs/flywheel/verdict.py FOLDER

Points are those of the boards: 400 are odds of ten to one. The tuned model has won where its interval lies above 0, and
the placebo must not have.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from fastchat.arena.leaderboard.board import DECIMALS, OVERALL, Board, read_board
from fastchat.arena.leaderboard.pairs import counts_of
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.intervals import difference_errors
from fastchat.ranking.results import ELO_PER_LOGIT

PARENT, RIVALS = "parent", ("tuned", "placebo")
BOARDS = {"held-out questions": "held_out.board.json", "outside the arena": "outside.board.json"}
_WIDTH = 1.959964  # standard errors to each side: 95 of 100 intervals hold the truth


class Lead(NamedTuple):
    model: str
    votes: int  # against the parent
    won: int
    lost: int
    points: float
    lower: float
    upper: float

    @property
    def is_win(self) -> bool:
        return self.lower > 0


def leads(board: Board) -> Iterator[Lead]:
    """Of those rivals that met their parent."""
    pairs = board.categories[OVERALL].pairs
    found = fit_bradley_terry(counts_of(pairs))
    errors = difference_errors(found)
    for rival in RIVALS:
        met = [pair for pair in pairs if {pair.model_a, pair.model_b} == {PARENT, rival}]
        if not met:
            continue
        [pair] = met
        won, lost = (pair.wins_a, pair.wins_b) if pair.model_a == rival else (pair.wins_b, pair.wins_a)
        one, other = found.models.index(rival), found.models.index(PARENT)
        points = ELO_PER_LOGIT * float(found.strengths[one] - found.strengths[other])
        half = ELO_PER_LOGIT * _WIDTH * float(errors[one, other])
        numbers = (round(number, DECIMALS) for number in (points, points - half, points + half))
        yield Lead(rival, pair.votes, int(won), int(lost), *numbers)


def verdict(boards: dict[str, list[Lead]]) -> dict[str, Any]:
    won = {place: {lead.model: lead.is_win for lead in found} for place, found in boards.items()}
    first = won[next(iter(BOARDS))]
    return {
        "tuned_won_on_held_out": first.get("tuned", False),
        "tuned_won_outside": won["outside the arena"].get("tuned", False),
        "placebo_won_anywhere": any(models.get("placebo", False) for models in won.values()),
        "boards": {place: [lead._asdict() for lead in found] for place, found in boards.items()},
    }


def lineage(folder: Path) -> dict[str, Any]:
    """Which votes the tuned model learned from, and how many of them stand in the arena's own log."""
    told = json.loads((folder / "tuned" / "lineage.json").read_text("utf-8"))
    with (folder / "training.votes.jsonl").open(encoding="utf-8") as lines:
        cast = {json.loads(line)["vote_id"] for line in lines}
    learned = told["votes"]
    return {"votes": len(learned), "in_the_log": len(cast.intersection(learned)), "first": learned[:3]}


def main(folder: Path) -> None:
    boards = {place: list(leads(read_board(folder / name))) for place, name in BOARDS.items()}
    found = verdict(boards) | {"lineage": lineage(folder), "plan": json.loads((folder / "plan.json").read_text())}
    (folder / "verdict.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    show(boards, found)


def show(boards: dict[str, list[Lead]], found: dict[str, Any]) -> None:
    table = Table("questions", "model", "battles", "won", "lost", "points above parent", "95 % interval", box=None)
    for place, rivals in boards.items():
        for lead in rivals:
            between = f"{round(lead.lower):+d} … {round(lead.upper):+d}"
            table.add_row(place, lead.model, *map(str, lead[1:4]), f"{round(lead.points):+d}", between)
    told = found["lineage"]
    said = [
        f"The tuned model {'won' if found['tuned_won_on_held_out'] else 'did not win'} on held-out questions, and "
        f"{'won' if found['tuned_won_outside'] else 'did not win'} outside the arena.",
        "The placebo won, so something other than the votes makes models win here."
        if found["placebo_won_anywhere"]
        else "The placebo did not win.",
        f"It learned from {told['votes']} votes, of which {told['in_the_log']} stand in the arena's log; "
        f"the first: {', '.join(told['first'])}",
    ]
    if found["plan"]["is_tiny"]:
        said.append("This was --tiny: every stage ran, and the numbers mean nothing.")
    console = Console(highlight=False, width=100)
    console.print(table, "", *said, sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
