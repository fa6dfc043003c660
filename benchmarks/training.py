"""What does padding cost, what does packing save of it, and how long until the first step?"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from benchmarks.peers.environments import FASTCHAT_DATA
from benchmarks.results import Aim, Findings, Table, interleaved, median_of, median_ratio
from benchmarks.servers import ROOT
from benchmarks.training_data import Numbers, conversations, rounds_of, sample_lengths, spread_evenly, write_tokenizer
from benchmarks.training_steps import DYNAMIC, GROUPED, PACKED, PADDED, TOGETHER, Taken, Task
from fastchat.train.packing import fill_rows

TITLE = "Training: padding, packing, preprocessing"
LENGTHS = (1024, 2048, 4096, 8192, 16384)
CONVERSATIONS, QUICK_CONVERSATIONS = 10_000, 1_000  # of which positions are counted
WRITTEN, QUICK_WRITTEN = 600, 100  # that are preprocessed
WRITTEN_LENGTH = 2048
ROUNDS = 3
GROUPED_BATCH = 8
LIMIT_S = 600.0
BUILTIN, TINY = "SmolLM2-135M", "a Llama of two layers"
OURS, OLD = "ours: rendered once, tokenised in batches, mapped into memory", "FastChat 0.2.36, with a fast tokenizer"
_IN_ROWS = "packed"
_PEER = Path(__file__).parent / "peers" / "fastchat_data.py"


class Preprocessed(BaseModel):
    """What `peers.stopwatch` printed."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    samples: int
    tokens: int
    trained: int
    bytes: int
    mchars: float = 0.0

    @property
    def mchars_per_cpu_s(self) -> float:
        return self.mchars / self.cpu_s

    @property
    def bytes_per_sample(self) -> float:
        return self.bytes / self.samples


class Steps(NamedTuple):
    task: Task
    taken: Mapping[str, Taken]


def run(*, is_quick: bool) -> Findings:
    rng = np.random.default_rng(0)
    drawn = [rounds_of(rng) for _ in range(QUICK_CONVERSATIONS if is_quick else CONVERSATIONS)]
    lengths = {most: sample_lengths(drawn, most) for most in LENGTHS}
    positions = {most: efficiencies(found, most) for most, found in lengths.items()}
    preprocessed = preprocessing(QUICK_WRITTEN if is_quick else WRITTEN, rounds=1 if is_quick else ROUNDS)
    steps = {name: _steps(task) for name, task in _tasks(lengths, is_quick=is_quick).items()}
    tables = (_position_table(positions, len(drawn)), *map(_step_table, steps, steps.values()))
    return Findings(
        tables=(*tables, _preprocessing_table(preprocessed)), aims=_aims(positions, steps[BUILTIN], preprocessed)
    )


def efficiencies(lengths: Numbers, most: int) -> Mapping[str, float]:
    """Real tokens by positions that are computed."""
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    order = np.random.default_rng(0).permutation(len(lengths)).tolist()
    grouped = get_length_grouped_indices(lengths.tolist(), GROUPED_BATCH, generator=torch.Generator().manual_seed(0))
    rows = int(fill_rows(np.sort(lengths)[::-1], most).max()) + 1
    return {
        PADDED: float(lengths.mean()) / most,
        f"{DYNAMIC} of 2": _efficiency(lengths, order, 2),
        f"{DYNAMIC} of 8": _efficiency(lengths, order, 8),
        f"{DYNAMIC} of 16": _efficiency(lengths, order, 16),
        f"{GROUPED}, batches of {GROUPED_BATCH}": _efficiency(lengths, grouped, GROUPED_BATCH),
        _IN_ROWS: float(lengths.sum()) / (rows * most),
    }


def _efficiency(lengths: Numbers, order: Sequence[int], batch: int) -> float:
    batches = [lengths[order[at : at + batch]] for at in range(0, len(order), batch)]
    return float(lengths.sum()) / sum(int(found.max()) * len(found) for found in batches)


def _tasks(lengths: Mapping[int, Numbers], *, is_quick: bool) -> Mapping[str, Task]:
    """So few samples that stand for all: the built-in model takes a second for 75 tokens."""
    most, samples, rounds = (128, 2, 1) if is_quick else (1024, 6, ROUNDS)
    builtin = spread_evenly(lengths[1024], samples) * most // 1024
    tiny = spread_evenly(lengths[2048], 2 * samples)
    return {
        BUILTIN: Task(model="builtin", most=most, lengths=builtin.tolist(), rounds=1),
        TINY: Task(model="tiny", most=2048, lengths=tiny.tolist(), rounds=rounds),
    }


def _steps(task: Task) -> Steps:
    said = _said([sys.executable, "-m", "benchmarks.training_steps", task.model_dump_json()], ROOT)
    taken = {name: Taken(**fields) for name, fields in json.loads(said).items()}
    losses = [one.loss for one in taken.values()]
    assert max(losses) - min(losses) < 1e-4 * losses[0], f"not all learn the same: {losses}"
    return Steps(task, taken)


def preprocessing(count: int, *, rounds: int) -> Mapping[str, Sequence[Preprocessed]]:
    """From a file to what is trained on, by us and, where it is installed, by FastChat."""
    from fastchat.data.splitting import split
    from fastchat.data.texts import texts
    from fastchat.data.tokens import load_tokenizer, with_lengths
    from fastchat.data.writers import write_conversations

    scratch = ROOT / ".cache"
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        file, tokenizer = folder / "conversations.json", folder / "tokenizer"
        whole = list(conversations(count))
        write_tokenizer(tokenizer, chain.from_iterable(map(texts, whole)))
        measured = with_lengths(whole, load_tokenizer(str(tokenizer)), with_special=False)
        parts = [part for one, lengths in measured for part in split(one, lengths, WRITTEN_LENGTH)]
        write_conversations(file, parts)
        mchars = sum(len(text) for part in parts for text in texts(part)) / 1e6
        arguments = [str(file), str(tokenizer), str(WRITTEN_LENGTH)]
        commands = {OURS: [sys.executable, "-m", "benchmarks.training_ways", *arguments]}
        if FASTCHAT_DATA.version:
            commands[OLD] = [str(FASTCHAT_DATA.python), str(_PEER), "preprocess", *arguments]
        return dict(interleaved(commands, rounds, partial(_preprocess, commands, mchars, folder)))


def _preprocess(commands: Mapping[str, Sequence[str]], mchars: float, folder: Path, name: str) -> Preprocessed:
    said = _said(commands[name], ROOT if name == OURS else folder)
    return Preprocessed(**json.loads(said.splitlines()[-1]), mchars=mchars)


def _said(command: Sequence[str], cwd: Path) -> str:
    # Peers must not find our fastchat in place of theirs; and one thread each, for what a core does is compared.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ |= {"STARTED_AT": str(time.time()), "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[1:4]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def _position_table(positions: Mapping[int, Mapping[str, float]], conversations: int) -> Table:
    ways = list(next(iter(positions.values())))
    rows = [(way, *(100 * found[way] for found in positions.values())) for way in ways]
    gained = [found[_IN_ROWS] / found[PADDED] for found in positions.values()]
    return Table(
        title="Of all positions computed, those with a token, in percent",
        note=f"{conversations:,} conversations about as long as ShareGPT's (lognormal: 3.5 rounds, 94 tokens a "
        "question, 351 an answer), split between rounds where they are longer than a row.",
        columns=("what", *(f"{most:,} tokens" for most in positions)),
        rows=(*rows, ("packed, x padded as FastChat", *gained)),
    )


def _step_table(name: str, steps: Steps) -> Table:
    task, taken = steps
    padded = taken[PADDED]
    tokens = sum(task.lengths)
    rows = [
        (
            way,
            100 * tokens / one.positions,
            median_of(one.cpu_s, lambda cpu_s: tokens / cpu_s),
            median_ratio(padded.cpu_s, one.cpu_s, lambda cpu_s: cpu_s),
            one.loss,
        )
        for way, one in taken.items()
    ]
    return Table(
        title=f"Forward and backward: {name}, {task.most:,} tokens",
        note=f"{len(task.lengths)} samples that stand for the lengths above, float32, one thread; {TOGETHER} a batch, "
        "or one packed row. All see the same samples, so the loss is the same; the ways take turns step by step.",
        columns=("what", "% real", "tokens/CPU-s", "x padded as FastChat", "loss"),
        rows=tuple(rows),
    )


def _preprocessing_table(preprocessed: Mapping[str, Sequence[Preprocessed]]) -> Table:
    old = preprocessed.get(OLD)
    rows = [
        (
            name,
            median_of(done, lambda one: one.mchars_per_cpu_s),
            median_ratio(done, old, lambda one: one.mchars_per_cpu_s) if old else None,
            done[0].bytes_per_sample,
            median_of(done, lambda one: one.peak_mb),
            done[0].tokens,
            done[0].trained,
        )
        for name, done in preprocessed.items()
    ]
    (first, *_), *_ = preprocessed.values()
    return Table(
        title=f"Preprocessing: {first.samples:,} samples of at most {WRITTEN_LENGTH:,} tokens",
        note=f"{first.mchars:.1f} million characters of ShareGPT's JSON, Vicuna's prompt format, a tokenizer built as "
        "LLaMA's with 4,096 pieces, one thread. Without the start. Bytes are what is kept of a sample: by FastChat in "
        "each process that trains, by us once on the disk, mapped into all.",
        columns=("what", "Mchar/CPU-s", "x FastChat", "bytes a sample", "peak MB", "tokens", "trained"),
        rows=tuple(rows),
    )


def _aims(
    positions: Mapping[int, Mapping[str, float]], builtin: Steps, preprocessed: Mapping[str, Sequence[Preprocessed]]
) -> tuple[Aim, ...]:
    ours, old = preprocessed[OURS], preprocessed.get(OLD)

    def gained(most: int, at_least: float) -> Aim:
        return Aim(
            key=f"training_positions_{most}",
            text=f"Training: positions, rows of {most:,} tokens packed against padded as FastChat",
            unit="x",
            at_least=at_least,
            measured=positions[most][_IN_ROWS] / positions[most][PADDED],
        )

    return (
        gained(2048, 2),
        gained(16384, 10),
        Aim(
            key="training_tokens",
            text=f"Training: tokens a CPU-second, {BUILTIN}, {builtin.task.most:,} tokens, packed against padded",
            unit="x",
            at_least=1.8,
            measured=median_ratio(builtin.taken[PADDED].cpu_s, builtin.taken[PACKED].cpu_s, lambda cpu_s: cpu_s),
        ),
        Aim(
            key="training_preprocessing",
            text="Training: characters preprocessed a CPU-second, against FastChat",
            unit="x",
            at_least=2.5,
            measured=median_ratio(ours, old, lambda one: one.mchars_per_cpu_s) if old else None,
        ),
        Aim(
            key="training_memory",
            text="Training: bytes kept of a sample, against FastChat",
            unit="x",
            at_most=0.1,
            measured=median_ratio(ours, old, lambda one: one.bytes_per_sample) if old else None,
        ),
    )
