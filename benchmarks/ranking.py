"""From a file of votes to named ratings: how long, and in how much memory, beside others who do it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import BaseModel

from benchmarks.peers.environments import ARENA_RANK, ARENAKIT, FASTCHAT_ELO, Environment
from benchmarks.results import Aim, Cell, Findings, Table, median_of
from benchmarks.servers import ROOT

TITLE = "Ratings: from a file of votes to a board"
SIZES, QUICK_SIZES = (100_000, 1_000_000, 2_000_000, 10_000_000), (5_000, 10_000)
AIM_VOTES, MOST_VOTES = SIZES[-2:]
DAYS = 5
ROUNDS = 3
LONG_S = 5.0  # what takes longer is measured once
LIMIT_S = 300.0
_RANKERS = Path(__file__).parent / "peers" / "rankers.py"
_NOTE = """130 models that are shown unequally often, a quarter of ties; a process each, from Parquet to named ratings.
Memory is the process's peak. The start, until all is imported, comes on top. Last, the rating that is furthest from
ours, in Elo points; FastChat's ridge and arenakit's prior hold strengths back a little."""


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    way: str  # of `ranking_ways` or `peers/rankers`
    most: int = AIM_VOTES  # with more votes it takes too long, or more memory than machines have
    peer: Environment | None = None
    exact: str = "bt"  # whose ratings it should find

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("ours")

    @property
    def command(self) -> tuple[str, ...]:
        if self.peer:
            return str(self.peer.python), str(_RANKERS), self.way
        return sys.executable, "-m", "benchmarks.ranking_ways", self.way


OURS = "ours: Bradley-Terry, sandwich, simultaneous ranks"
WAYS = (
    Way(OURS, "bt", MOST_VOTES),
    Way("evalica: Bradley-Terry, no errors", "evalica"),
    Way("choix after our counting: Bradley-Terry, no errors", "choix"),
    Way("arena-rank: Bradley-Terry, sandwich", "arena-rank", peer=ARENA_RANK),
    Way("arenakit: Bradley-Terry, no errors", "arenakit", peer=ARENAKIT),
    Way("FastChat 0.2.36: Bradley-Terry, no errors", "fastchat", SIZES[1], FASTCHAT_ELO),
    Way("ours: errors clustered by voter", "by-voter"),
    Way("ours: the whole board, by `fastchat leaderboard build`", "build"),
    Way("ours: 1,000 bootstraps", "bootstrap"),
    Way("arenakit: 100 bootstraps, separation of neighbours", "arenakit-bootstrap", SIZES[0], ARENAKIT),
    Way("ours: style control, sandwich", "style", exact="style"),
    Way("arena-rank: style control, sandwich", "arena-rank-style", peer=ARENA_RANK, exact="style"),
)


class Run(BaseModel):
    """What `peers.stopwatch` printed."""

    wall_s: float
    cpu_s: float
    imports_s: float
    peak_mb: float
    ratings: dict[str, float]
    read_s: list[float] = []
    fit_s: list[float] = []
    ranks_s: list[float] = []


def run(*, is_quick: bool) -> Findings:
    sizes = QUICK_SIZES if is_quick else SIZES
    aimed, most = (sizes[-1], sizes[-1]) if is_quick else (AIM_VOTES, MOST_VOTES)
    scratch = ROOT / ".cache"
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        measured = {size: measure(_votes(folder, size), size, 1 if is_quick else ROUNDS) for size in sizes}
        days = _run(Way("ours: a day's votes more", "days"), [folder / f"{aimed}.parquet", *_days(folder)])
    tables = [_table(size, runs) for size, runs in measured.items()]
    return Findings(tables=(*tables, _table_of_days(days, aimed)), aims=_aims(measured[aimed], measured[most], days))


def measure(file: Path, size: int, rounds: int) -> dict[Way, list[Run]]:
    """The ways that can be gone here, in turns."""
    runs: dict[Way, list[Run]] = {way: [] for way in WAYS if _is_there(way) and size <= way.most}
    for number in range(rounds):
        for way, done in runs.items():
            if number == 0 or done[0].wall_s < LONG_S:
                done.append(_run(way, [file]))
    return runs


def _is_there(way: Way) -> bool:
    return way.peer is None or way.peer.version is not None


def _run(way: Way, files: Sequence[Path]) -> Run:
    # Peers must not find our fastchat in place of theirs.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ["STARTED_AT"] = str(time.time())
    if way.is_ours:
        environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command does
    done = subprocess.run(
        [*way.command, *map(str, files)], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{way.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def _votes(folder: Path, size: int) -> Path:
    from benchmarks.ranking_data import write_votes

    file = folder / f"{size}.parquet"
    write_votes(file, size, with_style=size <= AIM_VOTES)
    return file


def _days(folder: Path) -> list[Path]:
    from benchmarks.ranking_data import DAY_VOTES, write_votes

    files = [folder / f"day{number}.parquet" for number in range(DAYS)]
    for number, file in enumerate(files):
        write_votes(file, DAY_VOTES, seed=number)
    return files


def _table(size: int, runs: Mapping[Way, Sequence[Run]]) -> Table:
    exact = {way.way: done[0].ratings for way, done in runs.items()}
    rows = [
        (
            way.name,
            median_of(done, lambda run: run.wall_s),
            median_of(done, lambda run: run.cpu_s),
            median_of(done, lambda run: run.peak_mb),
            median_of(done, lambda run: run.imports_s),
            "" if way.is_ours else _furthest(done[0].ratings, exact[way.exact]),
        )
        for way, done in runs.items()
    ]
    return Table(
        title=f"{size:,} votes",
        note=_NOTE if size == min(SIZES) else "",
        columns=("what", "wall s", "CPU s", "peak MB", "start s", "furthest"),
        rows=tuple(rows),
    )


def _furthest(ratings: Mapping[str, float], exact: Mapping[str, float]) -> Cell:
    centre, exact_centre = (sum(found.values()) / len(found) for found in (ratings, exact))
    return max(abs(ratings[name] - centre - exact[name] + exact_centre) for name in exact)


def _table_of_days(days: Run, size: int) -> Table:
    from benchmarks.ranking_data import DAY_VOTES

    rows = [
        ("read and added up", median(days.read_s) * 1e3),
        ("rated, with intervals", median(days.fit_s) * 1e3),
        ("rank sets", median(days.ranks_s) * 1e3),
    ]
    return Table(
        title=f"{DAY_VOTES:,} votes more on top of {size:,}",
        note=f"Median of {DAYS} days. Counts are kept; ratings and ranks are computed from them anew.",
        columns=("what", "wall ms"),
        rows=tuple(rows),
    )


def _aims(aimed: Mapping[Way, Sequence[Run]], most: Mapping[Way, Sequence[Run]], days: Run) -> tuple[Aim, ...]:
    by_way = {way.way: runs for way, runs in aimed.items()}
    largest = {way.way: runs for way, runs in most.items()}["bt"]
    day_ms = median(map(sum, zip(days.read_s, days.fit_s, days.ranks_s, strict=True))) * 1e3

    def wall(key: str, text: str, way: str, at_most: float) -> Aim:
        found = median_of(by_way[way], lambda run: run.wall_s)
        return Aim(key=f"ranking_{key}", text=f"2e6 votes: {text}", unit="s", at_most=at_most, measured=found)

    def memory(key: str, text: str, runs: Sequence[Run], at_most: float) -> Aim:
        found = median_of(runs, lambda run: run.peak_mb)
        return Aim(key=f"ranking_{key}", text=text, unit="MB", at_most=at_most, measured=found)

    return (
        wall("bt", "ratings, sandwich, simultaneous ranks", "bt", 0.8),
        memory("bt_memory", "2e6 votes: memory for that", by_way["bt"], 600),
        wall("bootstrap", "1,000 bootstraps", "bootstrap", 5),
        wall("style", "style control with intervals", "style", 1.4),
        memory("most", "1e7 votes: memory for ratings, sandwich, simultaneous ranks", largest, 1500),
        Aim(key="ranking_day", text="A day's votes more: until all is new", unit="ms", at_most=50, measured=day_ms),
    )
