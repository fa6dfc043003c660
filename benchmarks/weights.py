"""How much memory changing weights takes, beside the size of a shard and beside loading everything at once."""

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

from benchmarks.results import Aim, Findings, Table, interleaved, median_of

TITLE = "Weights: memory"
_WIDTH, _VOCABULARY = 1024, 32_000
_NAIVE = """
import sys; from pathlib import Path; from safetensors.torch import load_file, save_file
base, delta, target = map(Path, sys.argv[1:])
load = lambda folder: {k: v for file in sorted(folder.glob("model*.safetensors")) for k, v in load_file(file).items()}
one, other = load(base), load(delta)
target.mkdir(); save_file({k: one[k] + other[k] for k in one}, target / "model.safetensors")
"""


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    arguments: Sequence[str]  # of Python; the last is a folder that is written, if there is one
    writes: Path | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    peak_mb: float  # of resident memory
    wall_s: float


@dataclass(frozen=True, slots=True)
class Size:
    layers: int
    shard_mb: int


def run(*, is_quick: bool) -> Findings:
    size = Size(4, 40) if is_quick else Size(32, 200)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Prepared and measured elsewhere: a child's peak begins with what its parent had when it was made.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            total_mb = pool.submit(_prepare, folder, size).result()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            measured = interleaved(_ways(folder), 1 if is_quick else 2, lambda way: pool.submit(_measure, way).result())
    peaks = {way.name: median_of(costs, lambda cost: cost.peak_mb) for way, costs in measured}
    times = {way.name: median_of(costs, lambda cost: cost.wall_s) for way, costs in measured}
    return Findings(tables=(_table(peaks, times, size, total_mb),), aims=_aims(peaks, size))


def _prepare(folder: Path, size: Size) -> float:
    """Two models of LLaMA's layout, the delta between them, and that as old .bin files."""
    import torch

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    shapes = {"model.embed_tokens.weight": (_VOCABULARY, _WIDTH), "lm_head.weight": (_VOCABULARY, _WIDTH)}
    for layer in range(size.layers):
        head = f"model.layers.{layer}"
        shapes |= {f"{head}.self_attn.{part}_proj.weight": (_WIDTH, _WIDTH) for part in "qkvo"}
        shapes |= {f"{head}.mlp.{part}_proj.weight": (4 * _WIDTH, _WIDTH) for part in ("up", "gate")}
    base = {name: torch.randn(shape, generator=generator).mul_(0.02).bfloat16() for name, shape in shapes.items()}
    _save(folder / "base", base, size)
    for value in base.values():
        value += torch.randn(value.shape, generator=generator).mul_(5e-4).bfloat16()
    _save(folder / "target", base, size)
    _finish(_python("weights", "make-delta", *_paths(folder, "base", "target", "delta"), *_shards(size)))
    _save(folder / "delta-bin", base, size, suffix="bin")  # its values do not matter
    return sum(value.nbytes for value in base.values()) / 1e6


def _ways(folder: Path) -> list[Way]:
    out = folder / "out"
    delta = _paths(folder, "base", "out", "delta")
    whole = [str(folder / name) for name in ("base", "delta", "out")]
    return [
        Way("nothing: Python and torch", ("-c", "import torch, fastchat.commands.weights")),
        Way("everything loaded, added and saved", ("-c", _NAIVE, *whole), out),
        Way("apply-delta", _python("weights", "apply-delta", *delta), out),
        Way("apply-delta --low-cpu-mem", _python("weights", "apply-delta", *delta, "--low-cpu-mem"), out),
        Way(
            "apply-delta, delta as .bin",
            _python("weights", "apply-delta", *_paths(folder, "base", "out", "delta-bin")),
            out,
        ),
        Way("make-delta", _python("weights", "make-delta", *_paths(folder, "base", "target", "out")), out),
        Way(
            "convert --dtype float32",
            _python("weights", "convert", str(folder / "base"), str(out), "--dtype", "float32"),
            out,
        ),
    ]


def _measure(way: Way) -> Cost:
    begin = time.perf_counter()
    peak_mb = _finish(way.arguments)
    wall_s = time.perf_counter() - begin
    if way.writes:
        for file in way.writes.iterdir():
            file.unlink()
        way.writes.rmdir()
    return Cost(peak_mb, wall_s)


def _finish(arguments: Sequence[str]) -> float:
    """Run Python with these arguments; its peak resident memory in MB."""
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    child = Popen([sys.executable, *arguments], env=environ, stdout=DEVNULL, stderr=DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{arguments[-1]} ended with {child.returncode}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def _python(*arguments: str) -> tuple[str, ...]:
    return ("-m", "fastchat", *arguments)


def _paths(folder: Path, base: str, target: str, delta: str) -> tuple[str, ...]:
    flags = {"--base-model-path": base, "--target-model-path": target, "--delta-path": delta}
    return tuple(word for flag, name in flags.items() for word in (flag, str(folder / name)))


def _shards(size: Size) -> tuple[str, str]:
    return "--max-shard-size", f"{size.shard_mb}MB"


def _save(folder: Path, tensors: Mapping[str, Any], size: Size, suffix: str = "safetensors") -> None:
    import torch
    from safetensors.torch import save_file

    from fastchat.model.shards import shape_of
    from fastchat.model.writing import plan_shards

    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for shard in plan_shards([shape_of(name, value) for name, value in tensors.items()], size.shard_mb * 10**6):
        part = {tensor.name: tensors[tensor.name] for tensor in shard.tensors}
        if suffix == "bin":
            torch.save(part, folder / Path(shard.file.replace("model", "pytorch_model")).with_suffix(".bin"))
        else:
            save_file(part, folder / shard.file, metadata={"format": "pt"})


def _table(peaks: Mapping[str, float], times: Mapping[str, float], size: Size, total_mb: float) -> Table:
    nothing, naive = (peaks[name] for name in list(peaks)[:2])
    rows = [
        (name, peak, more := peak - nothing, more / size.shard_mb, more / (naive - nothing), times[name])
        for name, peak in peaks.items()
    ]
    return Table(
        title=f"{total_mb:,.0f} MB of bfloat16 in files of {size.shard_mb} MB",
        note="Peak resident memory of the whole process; the third column is what it takes beyond Python and torch.",
        columns=("what is done", "peak MB", "beyond torch MB", "shards", "of loading everything", "wall s"),
        rows=tuple(rows),
    )


def _aims(peaks: Mapping[str, float], size: Size) -> tuple[Aim, ...]:
    nothing = next(iter(peaks.values()))
    shards = {name: (peak - nothing) / size.shard_mb for name, peak in peaks.items()}
    return (
        Aim(
            key="weights_apply",
            text="apply-delta: memory beyond torch, in shards",
            unit="shards",
            at_most=1.0,
            measured=shards["apply-delta"],
        ),
        Aim(
            key="weights_apply_low",
            text="apply-delta --low-cpu-mem: likewise",
            unit="shards",
            at_most=0.5,
            measured=shards["apply-delta --low-cpu-mem"],
        ),
    )
