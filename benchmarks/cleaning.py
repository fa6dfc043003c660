"""ShareGPT's pages to conversations that can be trained on: how quick beside FastChat, in how much memory, and is what
was planted found?
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from benchmarks.cleaning_data import BLOCKED, COPY, HALF, NEAR, TWICE, kind_of, write_pages
from benchmarks.peers.environments import FASTCHAT_DATA, Environment
from benchmarks.results import Aim, Findings, Table, interleaved, median_of, median_ratio
from benchmarks.servers import ROOT

TITLE = "Cleaning: from saved pages to conversations"
FEW, QUICK_FEW = 3_000, 400  # conversations; and four times as many, to see whether memory grows
ROUNDS = 3
LIMIT_S = 300.0
FLAT = 1.25  # 1 would be: of what was seen, nothing is kept; to find duplicates, a signature has to be
_PEER = Path(__file__).parent / "peers" / "fastchat_data.py"
_NOTE = """Synthetic, as long as ShareGPT's conversations: HTML with paragraphs, lists, tables and code under its
header. FastChat's rules are those of its clean_sharegpt: Markdown, roles, lengths, blocked words, same ids and same
text. It takes all cores there are; ours on one core is `fastchat data clean --workers 1`. CPU time is that of all
processes; what the main one takes to start and import is left out."""


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    command: tuple[str, ...]
    workers: int | None = None  # None: it does not ask
    peer: Environment | None = None


_OURS = (sys.executable, "-m", "benchmarks.cleaning_ways")
NEAR_DUPLICATES = Way("ours: FastChat's rules and near duplicates, one core", (*_OURS, "near"), 1)
SAME_RULES = Way("ours: FastChat's rules, one core", (*_OURS, "same"), 1)
ALL_CORES = Way("ours: FastChat's rules and near duplicates, all cores", (*_OURS, "near"), os.cpu_count() or 1)
OLD = Way(
    "FastChat 0.2.36: clean_sharegpt", (str(FASTCHAT_DATA.python), str(_PEER), "clean"), peer=FASTCHAT_DATA
)  # fmt: skip


class Run(BaseModel):
    """What `peers.stopwatch` printed, and what is left of what was planted."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    mb: float = 0.0  # that were read
    left: dict[str, int] = {}

    @property
    def mb_per_cpu_s(self) -> float:
        return self.mb / self.cpu_s

    @property
    def mb_per_s(self) -> float:
        return self.mb / self.wall_s


Runs = Mapping[Way, Sequence[Run]]


def run(*, is_quick: bool) -> Findings:
    few = QUICK_FEW if is_quick else FEW
    ways = [way for way in (NEAR_DUPLICATES, SAME_RULES, ALL_CORES, OLD) if not way.peer or way.peer.version]
    scratch = ROOT / ".cache"
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        small, large = Path(name) / "few.json", Path(name) / "many.json"
        write_pages(small, few)
        write_pages(large, 4 * few)
        runs = dict(interleaved(ways, 1 if is_quick else ROUNDS, lambda way: measure(way, small)))
        more = dict(interleaved([way for way in ways if way != SAME_RULES], 1, lambda way: measure(way, large)))
        planted = Counter(map(kind_of, _ids(small)))
    tables = (_speed(runs, few), _memory(runs, more), _found(runs, planted))
    return Findings(tables=tables, aims=_aims(runs, more, planted))


def measure(way: Way, file: Path) -> Run:
    target = file.with_suffix(".clean.json")
    # The peer must not find our fastchat in place of its own.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ["STARTED_AT"] = str(time.time())
    command = [*way.command, str(file), str(target), *([str(way.workers)] if way.workers else [])]
    cwd = file.parent if way.peer else ROOT
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{way.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found = Run(**json.loads(done.stdout.splitlines()[-1]))
    found.mb, found.left = file.stat().st_size / 1e6, Counter(map(kind_of, _ids(target)))
    return found


def _ids(file: Path) -> list[str]:
    return [row["id"] for row in json.loads(file.read_text())]


def _speed(runs: Runs, conversations: int) -> Table:
    old = runs.get(OLD)
    rows = [
        (
            way.name,
            median_of(done, lambda run: run.mb_per_cpu_s),
            median_of(done, lambda run: run.mb_per_s),
            median_ratio(done, old, lambda run: run.mb_per_cpu_s) if old else None,
        )
        for way, done in runs.items()
    ]
    megabytes = next(iter(runs.values()))[0].mb
    return Table(
        title=f"{conversations:,} conversations, {megabytes:.0f} MB",
        note=_NOTE,
        columns=("what", "MB/CPU-s", "MB/s", "x FastChat, by CPU time"),
        rows=tuple(rows),
    )


def _memory(runs: Runs, more: Runs) -> Table:
    rows = []
    for way, done in more.items():
        few, many = median_of(runs[way], lambda run: run.peak_mb), median_of(done, lambda run: run.peak_mb)
        rows.append((way.name, few, many, many / few))
    return Table(
        title="Memory, with four times as much",
        note="Peak of the main process, which reads, remembers and writes.",
        columns=("what", "peak MB", "peak MB of four times as much", "x"),
        rows=tuple(rows),
    )


def _found(runs: Runs, planted: Mapping[str, int]) -> Table:
    rows = [(way.name, *(_gone(done[0], planted, kind) for kind in _KINDS)) for way, done in runs.items()]
    return Table(
        title="What was planted and found, in percent",
        note="Near duplicates have other words in 2 % of their places. What shares half of another one's words, and "
        "all that is its own, has to stay.",
        columns=("what", *(f"{name}: {planted[kind]:,}" for kind, name in _KINDS.items())),
        rows=tuple(rows),
    )


_KINDS: Mapping[str, str] = {
    COPY: "copies",
    NEAR: "near duplicates",
    BLOCKED: "blocked words",
    TWICE: "who speaks twice",
    HALF: "half alike, to stay",
    "": "its own, to stay",
}


def _gone(run: Run, planted: Mapping[str, int], kind: str) -> float:
    return 100 * (1 - run.left.get(kind, 0) / planted[kind])


def _aims(runs: Runs, more: Runs, planted: Mapping[str, int]) -> tuple[Aim, ...]:
    ours, old = runs[NEAR_DUPLICATES], runs.get(OLD)

    def faster(way: Way) -> float | None:
        return median_ratio(runs[way], old, lambda run: run.mb_per_cpu_s) if old else None

    stays = sum(planted[kind] for kind in ("", HALF))
    lost = stays - sum(ours[0].left.get(kind, 0) for kind in ("", HALF))
    growth = more[NEAR_DUPLICATES][0].peak_mb / median_of(ours, lambda run: run.peak_mb)
    text = "Cleaning: MB a CPU-second, against FastChat's clean_sharegpt"
    return (
        Aim(key="cleaning", text=f"{text}, same rules", unit="x", at_least=8, measured=faster(SAME_RULES)),
        Aim(
            key="cleaning_near",
            text=f"{text}, near duplicates dropped besides",
            unit="x",
            at_least=8,
            measured=faster(NEAR_DUPLICATES),
        ),
        Aim(
            key="cleaning_found",
            text="Cleaning: planted near duplicates that are dropped",
            unit="%",
            at_least=95,
            measured=_gone(ours[0], planted, NEAR),
        ),
        Aim(
            key="cleaning_lost",
            text="Cleaning: conversations dropped that should stay",
            unit="%",
            at_most=0.5,
            measured=100 * lost / stays,
        ),
        Aim(
            key="cleaning_memory",
            text="Cleaning: peak memory with four times as much over that without",
            unit="x",
            at_most=FLAT,
            measured=growth,
        ),
    )
