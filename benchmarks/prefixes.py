"""How much sooner the first token comes when the beginning of the prompt is cached."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median

import aiohttp

from benchmarks.chat import Reply, ask, prose
from benchmarks.dispatch import PREFILL_US
from benchmarks.results import Table
from benchmarks.servers import Servers
from benchmarks.systems import bring_up, scripted


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    worker: Sequence[str]  # its flags; the model's name is "model"
    prefix_words: int


def measure(*, is_quick: bool) -> Table:
    rows = []
    for case in _cases()[: 1 if is_quick else None]:
        with Servers() as servers:
            system = bring_up(servers, [case.worker])
            rows += asyncio.run(_rows(case, system.gateway.url, prompts=2 if is_quick else 5))
    return Table(
        title="Time to the first token",
        note="One caller, through the gateway. The prompts differ only at their end, or from the beginning.",
        columns=("engine", "prompts have", "prompt tokens", "of them cached", "first token p50 ms"),
        rows=tuple(rows),
    )


def _cases() -> list[Case]:
    script = {"reply": "word", "prefill_us_per_token": PREFILL_US}
    cases = [Case(f"scripted, {PREFILL_US:g} µs a prompt token", scripted(script, slots=4, names="model"), 1500)]
    if find_spec("xllamacpp"):
        flags = ["--model-path", "builtin", "--model-names", "model", "--limit-worker-concurrency", "2"]
        cases.append(Case("llama.cpp, built-in model", flags, 300))
    return cases


async def _rows(case: Case, api_url: str, prompts: int) -> list[tuple[str, str, float, float, float]]:
    rng = random.Random(1)
    shared = prose(rng, case.prefix_words)
    async with aiohttp.ClientSession() as session:

        async def one(prefix: str) -> Reply:
            messages = [{"role": "user", "content": f"{prefix} {prose(rng, 10)}"}]
            return await ask(session, api_url, "model", messages, tokens=4)

        await one(shared)  # fills the cache
        alike, different = [], []
        for _ in range(prompts):
            different.append(await one(prose(rng, case.prefix_words)))
            alike.append(await one(shared))
    return [
        (
            case.name,
            what,
            median(reply.prompt_tokens for reply in replies),
            median(reply.cached_tokens for reply in replies),
            median(reply.first_token_s for reply in replies) * 1000,
        )
        for what, replies in (("nothing in common", different), ("their beginning in common", alike))
    ]
