"""What continuous batching of the engine `hf` brings over transformers' own `generate`, one request after another.

Both use the same weights, number format and threads, in one process each run after run, so that a busy machine slows
both alike. Every answer has the same number of tokens.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from benchmarks.results import Aim, Findings, Table
from fastchat.engines.base import ChatPrompt, Engine, GenerationRequest, Sampling
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.registry import EngineOptions
from fastchat.model import builtin

TITLE = "Batching of the engine hf"
_CONCURRENT = (1, 8, 32)
_CONTEXT = 1024


@dataclass(frozen=True, slots=True)
class _Run:
    tokens: int
    wall_s: float
    cpu_s: float

    @property
    def per_second(self) -> float:
        return self.tokens / self.wall_s

    @property
    def per_cpu_second(self) -> float:
        return self.tokens / self.cpu_s


def run(*, is_quick: bool) -> Findings:
    return asyncio.run(
        _measure(tokens=16 if is_quick else 128, rounds=1 if is_quick else 3, alone=1 if is_quick else 4)
    )


async def _measure(*, tokens: int, rounds: int, alone: int) -> Findings:
    import torch

    from fastchat.engines.hf.engine import HfEngine
    from fastchat.engines.hf.loading import load_model
    from fastchat.engines.hf.settings import HfArgs

    path = str(builtin.ensure_safetensors())
    options = EngineOptions(path, context_length=_CONTEXT, slots=max(_CONCURRENT))
    plain = load_model(options, HfArgs())  # with the attention transformers chooses
    engine = HfEngine.load(options)
    found: dict[int, list[_Run]] = {number: [] for number in (0, *_CONCURRENT)}
    try:
        await _ask_all(engine, _questions(2), 4)
        for _ in range(rounds):
            prompts = [await _prompt(engine, question) for question in _questions(alone)]
            found[0].append(await asyncio.to_thread(_timed, partial(_generate, plain, prompts, tokens)))
            for number in _CONCURRENT:
                found[number].append(await _timed_engine(engine, _questions(number), tokens))
    finally:
        await engine.close()
    return _findings(
        found, tokens, f"{str(plain.model.dtype).removeprefix('torch.')}, {torch.get_num_threads()} threads"
    )


def _questions(number: int) -> list[str]:
    return [f"Tell me what happened in the year {1800 + count}." for count in range(number)]


async def _prompt(engine: Engine, question: str) -> list[int]:
    text = await engine.render(ChatPrompt([{"role": "user", "content": question}]))
    return await engine.tokenize(text, add_special=False)


def _generate(loaded: LoadedModel, prompts: Sequence[Sequence[int]], tokens: int) -> int:
    import torch

    for prompt in prompts:
        ids = torch.tensor([list(prompt)])
        loaded.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
        )
    return tokens * len(prompts)


def _timed(work: Callable[[], int]) -> _Run:
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = work()
    return _Run(tokens, time.perf_counter() - wall, time.process_time() - cpu)


async def _timed_engine(engine: Engine, questions: Sequence[str], tokens: int) -> _Run:
    wall, cpu = time.perf_counter(), time.process_time()
    made = await _ask_all(engine, questions, tokens)
    return _Run(made, time.perf_counter() - wall, time.process_time() - cpu)


async def _ask_all(engine: Engine, questions: Sequence[str], tokens: int) -> int:
    return sum(await asyncio.gather(*(_ask(engine, question, tokens) for question in questions)))


async def _ask(engine: Engine, question: str, tokens: int) -> int:
    prompt = ChatPrompt([{"role": "user", "content": question}])
    sampling = Sampling(max_tokens=tokens, temperature=0, ignore_eos=True)
    made = 0
    async for delta in engine.generate(GenerationRequest(prompt, sampling)):
        made += delta.usage.completion_tokens if delta.usage else 0
    return made


def _findings(found: dict[int, list[_Run]], tokens: int, how: str) -> Findings:
    alone = found[0]
    rows: list[tuple[Any, ...]] = []
    for number, runs in found.items():
        # Each round against the plain `generate` of the same round: the machine was as busy then.
        ratios = [one.per_second / plain.per_second for one, plain in zip(runs, alone, strict=True)]
        cpu_ratios = [one.per_cpu_second / plain.per_cpu_second for one, plain in zip(runs, alone, strict=True)]
        name = f"engine hf, {number} at a time" if number else "generate, one after another"
        speeds = median(one.per_second for one in runs), median(one.per_cpu_second for one in runs)
        rows.append(
            (name, *(round(speed, 1) for speed in speeds), round(median(ratios), 2), round(median(cpu_ratios), 2))
        )
    columns = ("", "tokens/s", "tokens/CPU-s", "of generate", "of generate, per CPU-s")
    note = f"Built-in model, {how}; {tokens} tokens an answer, prompts included in the time; median of {len(alone)}."
    aim = Aim(
        key="hf_batching",
        text=f"{max(_CONCURRENT)} requests at a time, tokens/s against one-by-one generate",
        unit="x",
        at_least=10,
        measured=rows[-1][3],
    )
    return Findings(tables=(Table(title="tokens a second", note=note, columns=columns, rows=tuple(rows)),), aims=(aim,))
