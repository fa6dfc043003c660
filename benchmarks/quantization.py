"""What rounding the weights of the engine `hf` to 8 and 4 bits saves, and what it costs.

Memory is measured in a process of each kind's own; speed with all of them in one, taking turns, on one thread.
"""

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, cast

from benchmarks.results import Aim, Findings, Table, interleaved, median_ratio
from benchmarks.servers import ROOT
from fastchat.engines.hf.settings import HfArgs
from fastchat.engines.registry import EngineOptions, Quantization
from fastchat.model import builtin

if TYPE_CHECKING:
    from fastchat.engines.hf.loaded import LoadedModel

TITLE = "Weights of 8 and 4 bits in the engine hf"
TEXT = ROOT / "benchmarks" / "data" / "passages.txt"
_KINDS = ("bfloat16", "int8", "int4")
_WINDOW = 512
_PROMPT = 32  # tokens, before those that are measured


def run(*, is_quick: bool) -> Findings:
    path = str(builtin.ensure_safetensors())
    memory = {kind: _memory_in_own_process(path, kind) for kind in _KINDS}
    models = {kind: _load(path, kind) for kind in _KINDS}
    likelihoods = {kind: list(_likelihoods(models[kind], windows=1 if is_quick else None)) for kind in _KINDS}
    rows, tokens, rounds = ((1, 4), 8, 1) if is_quick else ((1, 8, 32), 48, 3)
    speeds = {
        number: dict(interleaved(_KINDS, rounds, lambda kind, number=number: _speed(models[kind], number, tokens)))
        for number in rows
    }
    quality = {kind: _ratio(likelihoods[kind], likelihoods["bfloat16"]) for kind in _KINDS}
    share = memory["int8"]["parameters"] / memory["bfloat16"]["parameters"]
    return Findings(
        tables=(_memory_table(memory), _quality_table(likelihoods, quality), _speed_table(speeds)),
        aims=(
            Aim(key="int8_memory", text="8 bits: memory of the weights against 16 bits", at_most=0.6, measured=share),
            Aim(key="int8_quality", text="8 bits: perplexity against 16 bits", at_most=1.01, measured=quality["int8"]),
        ),
    )


def _load(path: str, kind: str) -> "LoadedModel":
    from fastchat.engines.hf.loading import load_model

    quantization = None if kind == "bfloat16" else cast(Quantization, kind)
    options = EngineOptions(path, device="cpu", dtype="bfloat16", quantization=quantization)
    return load_model(options, HfArgs(threads=1))


def _memory_in_own_process(path: str, kind: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.quantization", path, kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure_memory(path: str, kind: str) -> dict[str, float]:
    """Megabytes: of the parameters, and by how much the process grew in the end, and at most while it loaded."""
    import accelerate  # noqa: F401 -- all that loading imports is there before
    import transformers

    import fastchat.engines.hf.quantization

    _ = transformers.LlamaForCausalLM, fastchat.engines.hf.quantization
    before = _status()
    own = [before["RssAnon"]]
    is_loaded = threading.Event()
    watching = threading.Thread(target=_watch, args=(own, is_loaded))
    watching.start()
    loaded = _load(path, kind)
    is_loaded.set()
    watching.join()
    model = loaded.model
    _generate_s(loaded, [[1] * _PROMPT], 2)  # what is mapped from the file counts once it was used
    after = _status()
    return {
        "parameters": sum(parameter.nbytes for parameter in model.parameters()) / 1e6,
        "grown": after["VmRSS"] - before["VmRSS"],
        "peak": max(own) - before["RssAnon"],
    }


def _watch(own: list[float], is_loaded: threading.Event) -> None:
    while not is_loaded.wait(0.002):
        own.append(_status()["RssAnon"])


def _status() -> dict[str, float]:
    """Megabytes, as the kernel counts them."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {parts[0].rstrip(":"): int(parts[1]) / 1e3 for parts in lines if parts[-1:] == ["kB"]}


def _likelihoods(loaded: "LoadedModel", *, windows: int | None) -> Iterator[float]:
    """The logarithm of the probability of each token of the text."""
    import torch

    tokens = loaded.tokenizer.encode(TEXT.read_text())
    starts = range(0, len(tokens) - 1, _WINDOW)
    for start in starts[:windows]:
        window = torch.tensor([tokens[start : start + _WINDOW]])
        with torch.inference_mode():
            logits = loaded.model(input_ids=window).logits[0, :-1].float()
        yield from logits.log_softmax(dim=-1).gather(1, window[0, 1:, None])[:, 0].tolist()


def _ratio(found: Sequence[float], base: Sequence[float]) -> float:
    return math.exp(sum(first - second for first, second in zip(base, found, strict=True)) / len(found))


def _speed(loaded: "LoadedModel", rows: int, tokens: int) -> float:
    """Tokens a CPU second, of `rows` sequences decoded together; the reading of the prompt is not counted."""
    prompt = [loaded.tokenizer.encode(TEXT.read_text())[:_PROMPT]] * rows
    return tokens * rows / (_generate_s(loaded, prompt, tokens + 1) - _generate_s(loaded, prompt, 1))


def _generate_s(loaded: "LoadedModel", prompt: Any, tokens: int) -> float:
    import torch

    inputs = torch.tensor(prompt)
    how = {"do_sample": False, "max_new_tokens": tokens, "min_new_tokens": tokens}
    before = time.process_time()
    loaded.model.generate(inputs, attention_mask=torch.ones_like(inputs), **how)
    return time.process_time() - before


def _memory_table(memory: Mapping[str, Mapping[str, float]]) -> Table:
    return Table(
        title="Memory",
        note="MB, each in a process of its own: of the parameters; what the process takes once it has answered, beyond "
        "what it took with PyTorch and transformers alone; and the most it took while loading, without pages of the "
        "file that are mapped and can be given back at any time.",
        columns=("weights", "parameters", "of bfloat16", "process, after an answer", "process, while loading"),
        rows=tuple(
            (
                kind,
                found["parameters"],
                found["parameters"] / memory["bfloat16"]["parameters"],
                found["grown"],
                found["peak"],
            )
            for kind, found in memory.items()
        ),
    )


def _quality_table(likelihoods: Mapping[str, Sequence[float]], quality: Mapping[str, float]) -> Table:
    return Table(
        title="What the answers are worth",
        note=f"Perplexity on {len(TEXT.read_text().split()):,} words of old books (`data/passages.txt`), in windows of "
        f"{_WINDOW} tokens. The built-in model's weights were of 4 bits once; those of others may lose otherwise.",
        columns=("weights", "perplexity", "times bfloat16"),
        rows=tuple((kind, math.exp(-sum(found) / len(found)), quality[kind]) for kind, found in likelihoods.items()),
    )


def _speed_table(speeds: Mapping[int, Mapping[str, Sequence[float]]]) -> Table:
    def cells(kind: str) -> Iterator[float]:
        for found in speeds.values():
            yield median(found[kind])
            yield median_ratio(found[kind], found["bfloat16"], lambda speed: speed)

    return Table(
        title="Tokens",
        note="A CPU second, through transformers' `generate`, on one thread; prompts are not counted.",
        columns=(
            "weights",
            *(cell for number in speeds for cell in (f"{number} at once", f"{number} at once, of bfloat16")),
        ),
        rows=tuple((kind, *cells(kind)) for kind in _KINDS),
    )


if __name__ == "__main__":
    print(json.dumps(_measure_memory(*sys.argv[1:])))
