"""What the built-in model costs on a plain CPU: engines, number formats, and what the answers are worth in each."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.engine_alone import EngineAlone, Job, Result
from benchmarks.peers.environments import LLAMA_NATIVE
from benchmarks.results import Findings, Table, interleaved, median_of
from benchmarks.servers import ROOT
from fastchat.model import builtin
from fastchat.model.requantize import Format, requantize

TITLE = "Engines and number formats on a CPU"
SLOTS, CONTEXT, WINDOW = 32, 512, 512
TEXT = ROOT / "benchmarks" / "data" / "passages.txt"
_PARAMETERS = 134.5e6
_QUESTIONS = [f"Tell me what happened in the year {year}." for year in range(1800, 1832)]
_NATIVE = "llama.cpp, native build, bare"


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    weights: str  # number format
    path: Path
    engine: str | None  # None: llama.cpp built for this CPU


@dataclass(frozen=True, slots=True)
class Extent:
    levels: Mapping[int, int]  # callers → tokens of each answer
    rounds: int


FULL = Extent({1: 96, 8: 48, 32: 32}, rounds=3)
QUICK = Extent({1: 4, 4: 4}, rounds=1)


FoundT: TypeAlias = Mapping[int, Sequence[tuple[Contender, Sequence[Result]]]]


def run(*, is_quick: bool) -> Findings:
    extent = QUICK if is_quick else FULL
    contenders = _contenders(("q8_0",) if is_quick else ("q4_0", "q8_0", "bf16"))
    limits = _Limits.measure()
    with ExitStack() as stack:
        loaded = {contender: stack.enter_context(_loaded(contender)) for contender in contenders}
        found = {
            callers: interleaved(contenders, extent.rounds, lambda contender, job=job: loaded[contender].run(job))
            for callers, tokens in extent.levels.items()
            if (job := Job(_QUESTIONS, callers, 1, tokens))
        }
    return Findings(tables=(_speed(found, contenders, limits), _quality(contenders)), aims=())


def _contenders(formats: Sequence[Format]) -> list[Contender]:
    files = {"Q4_1 (as it comes)": builtin.ensure()} | {to.upper(): _in_format(to) for to in formats}
    contenders = [Contender("llamacpp", weights, path, "llamacpp") for weights, path in files.items()]
    if find_spec("openvino_genai"):
        # BF16 is left out: eight bits hold the same, in half the memory that it would have to read.
        contenders += [
            Contender("openvino", weights, path, "openvino") for weights, path in files.items() if weights != "BF16"
        ]
    if find_spec("transformers"):
        contenders.append(Contender("hf", "BF16", builtin.ensure_safetensors(), "hf"))
    if LLAMA_NATIVE.version is not None:
        contenders += [Contender(_NATIVE, weights, path, None) for weights, path in files.items()]
    return contenders


def _in_format(to: Format) -> Path:
    target = ROOT / ".cache" / "benchmarks" / f"{builtin.NAME}.{to}.gguf"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        requantize(builtin.path(), target, to)
    return target


@contextmanager
def _loaded(contender: Contender) -> Iterator[EngineAlone]:
    if contender.engine is None:
        with _Native(contender.path) as native:
            yield native
    else:
        with EngineAlone(str(contender.path), slots=SLOTS, context_length=CONTEXT, engine=contender.engine) as alone:
            alone.run(Job(_QUESTIONS, 1, 1, 2))  # the first steps of some engines compile
            yield alone


class _Native(EngineAlone):
    """The same conversation with the script that llama.cpp's own build runs."""

    def __init__(self, file: Path) -> None:
        self._child = subprocess.Popen(
            [LLAMA_NATIVE.python, ROOT / "benchmarks" / "peers" / "llama_native.py", "speed", file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._read()


@dataclass(frozen=True, slots=True)
class _Limits:
    """Of one core, measured with the same machine and the same company as the engines."""

    read_gb_s: float
    bf16_gflop_s: float

    @classmethod
    def measure(cls) -> "_Limits":
        data = np.ones(2**26, dtype=np.float32)  # far larger than any cache
        return cls(read_gb_s=data.nbytes / 1e9 / _best_cpu_s(data.max), bf16_gflop_s=_matrix_gflop_s())

    def tokens(self, contender: Contender, callers: int) -> float:
        """What reading the weights, or multiplying with them, allows at most."""
        size = _weight_bytes(contender.path)
        return min(callers * self.read_gb_s * 1e9 / size, self.bf16_gflop_s * 1e9 / (2 * _PARAMETERS))


def _weight_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.glob("*.safetensors"))


def _matrix_gflop_s() -> float:
    import torch

    torch.set_num_threads(1)
    matrix = torch.ones(1024, 1024, dtype=torch.bfloat16)
    return 2 * 1024**3 / 1e9 / _best_cpu_s(lambda: matrix @ matrix)


def _best_cpu_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(7):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return min(times)


def _speed(found: FoundT, contenders: Sequence[Contender], limits: _Limits) -> Table:
    rows = []
    for contender in contenders:
        cells: list[str | float] = [contender.name, contender.weights]
        for callers, measured in found.items():
            results = dict(measured)[contender]
            rate = median_of(results, lambda result: result.tokens / result.cpu_s)
            cells += [rate, median_of(results, lambda result: result.tokens / result.wall_s)]
            cells.append(f"{100 * rate / limits.tokens(contender, callers):.0f} %")
        rows.append(tuple(cells))
    levels = list(found)
    return Table(
        title="Tokens",
        note="Through our engine protocol, prompts of about 36 tokens included; one thread each, all loaded at once "
        "and taking turns. Of the limit: of what one core could do that only reads the weights "
        f"({limits.read_gb_s:.1f} GB a CPU second, in this run) or only multiplies ({limits.bf16_gflop_s:.0f} GFLOP a "
        "CPU second in bfloat16). The bare native build has neither Python nor HTTP around it.",
        columns=(
            "engine",
            "weights",
            *(
                cell
                for n in levels
                for cell in (f"a CPU second, {n} at once", f"a second, {n} at once", "of the limit")
            ),
        ),
        rows=tuple(rows),
    )


def _quality(contenders: Sequence[Contender]) -> Table:
    judged = [contender for contender in contenders if contender.engine in (None, "openvino")]
    likelihoods = {contender: _likelihood(contender) for contender in judged}
    base = next((found for contender, found in likelihoods.items() if contender.engine is None), None)
    rows = []
    for contender, found in likelihoods.items():
        ratio = [first - second for first, second in zip(base, found, strict=True)] if base else [math.nan]
        error = float(np.std(ratio)) / math.sqrt(len(ratio))
        perplexity = math.exp(-sum(found) / len(found))
        rows.append((contender.name, contender.weights, perplexity, math.exp(sum(ratio) / len(ratio)), 1.96 * error))
    return Table(
        title="What the answers are worth",
        note=f"Perplexity on {len(TEXT.read_text().split()):,} words of old books (`data/passages.txt`), in windows of "
        f"{WINDOW} tokens; and how many times that of llama.cpp with the file as it comes, with half the width of "
        "the 95 % interval. The wheel of `llamacpp` rounds as the native build does.",
        columns=("engine", "weights", "perplexity", "times the original", "±"),
        rows=tuple(rows),
    )


def _likelihood(contender: Contender) -> list[float]:
    scripts = ROOT / "benchmarks" / "peers"
    arguments = [contender.path, TEXT, str(WINDOW)]
    if contender.engine is None:
        command = [LLAMA_NATIVE.python, scripts / "llama_native.py", "likelihood", *arguments]
    else:
        command = [sys.executable, "-m", "benchmarks.peers.openvino_likelihood", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found
