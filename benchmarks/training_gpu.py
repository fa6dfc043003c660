"""How much of a GPU does training use? Llama's shapes with random weights: what is learned does not matter here.

python -m benchmarks.training_gpu [1B] [3B] [8B]     only these, printed as JSON
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.results import Aim, Findings, Table
from benchmarks.servers import ROOT
from benchmarks.training_gpu_steps import SHAPES, VARLEN, Taken, Task

TITLE = "Training on a GPU"
POSITIONS = 8192  # of a batch
SHAPES_MEASURED, QUICK_SHAPES = ("1B", "3B", "8B"), ("1B",)
LIMIT_S = 900.0
_NOTE = f"""{POSITIONS:,} positions a batch, no activation checkpointing, AdamW. In full, weights are float32 and
computed with in bf16; 8B is LoRA of rank 16 on a base in bf16. Tokens are real ones, in samples as those of `training`.
MFU counts six operations a parameter and token (LoRA: four), attention within documents and nothing for padding, of
what the maker says the device does in bf16. Liger is `liger: true` of a recipe."""


class Measured(NamedTuple):
    task: Task
    taken: Taken


def run(*, is_quick: bool, shapes: Sequence[str] = ()) -> Findings:
    if not _has_gpu():
        table = Table(title="Not run", columns=("why",), rows=(("There was no GPU on this machine.",),))
        return Findings(tables=(table,), aims=(_aim(()),))
    measured = [
        Measured(task, taken)
        for task in _tasks(shapes or (QUICK_SHAPES if is_quick else SHAPES_MEASURED), is_quick=is_quick)
        for taken in measure(task)
    ]
    return Findings(tables=tuple(_tables(measured)), aims=(_aim(measured),))


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _tasks(shapes: Sequence[str], *, is_quick: bool) -> list[Task]:
    """All layouts at 4k; at 8k the one that is meant for it."""
    found = []
    for shape in shapes:
        for with_liger in (False, True) if find_spec("liger_kernel") else (False,):
            tasks = [Task(shape=shape, most=4096, rows=POSITIONS // 4096, with_liger=with_liger)]
            if not is_quick:
                tasks.append(Task(shape=shape, most=8192, rows=1, with_liger=with_liger, layouts=[VARLEN]))
            found += tasks
    return found


def measure(task: Task) -> list[Taken]:
    """In a process of its own, whose memory nobody else has used."""
    command = [sys.executable, "-m", "benchmarks.training_gpu_steps", task.model_dump_json()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{task} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return [Taken(**fields) for fields in json.loads(done.stdout.splitlines()[-1])]


def _tables(measured: Sequence[Measured]) -> list[Table]:
    shapes = dict.fromkeys(task.shape for task, _ in measured)
    return [
        Table(
            title=f"Llama {shape}, {'LoRA' if SHAPES[shape].is_lora else 'in full'}",
            note=_NOTE if number == 0 else "",
            columns=("row", "layout", "compiled", "Liger", "tokens/s", "MFU %", "peak GiB", "failed"),
            rows=tuple(_row(task, taken) for task, taken in measured if task.shape == shape),
        )
        for number, shape in enumerate(shapes)
    ]


def _row(task: Task, taken: Taken) -> tuple[str | float | None, ...]:
    signs = {True: "yes", False: "–"}
    how = (taken.layout, signs[taken.is_compiled], signs[task.with_liger])
    mfu = None if taken.mfu is None else 100 * taken.mfu
    return task.most, *how, taken.tokens_per_s, mfu, taken.peak_gib, taken.failed


def _aim(measured: Sequence[Measured]) -> Aim:
    known = [100 * taken.mfu for _, taken in measured if taken.mfu is not None]
    return Aim(
        key="training_gpu_mfu",
        text="Training on a GPU: MFU in bf16 at 4k to 8k, the best",
        unit="%",
        at_least=45,
        measured=max(known, default=None),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_gpu")
    parser.add_argument("shapes", nargs="*", choices=(*SHAPES_MEASURED, []), metavar="SHAPE", help="1B, 3B, 8B; all")
    print(run(is_quick=False, shapes=parser.parse_args().shapes).model_dump_json(indent=1))
