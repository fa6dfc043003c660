"""Which dispatch policy sends a conversation back to the worker that has its beginning in the cache."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import aiohttp

from benchmarks.chat import MessageT, Reply, ask, prose
from benchmarks.results import Table
from benchmarks.servers import Servers
from benchmarks.systems import SCRIPTED, System, bring_up, scripted

SLOTS = 8
PREFILL_US = 100.0  # a token of the prompt: about what an 8B model takes on a fast GPU
POLICIES = {"least_loaded": "least_loaded (prefix-affine)", "shortest_queue": "shortest_queue", "lottery": "lottery"}
LIMIT = "one large worker (the limit)"


@dataclass(frozen=True, slots=True)
class Extent:
    policies: Sequence[str]
    workers: int
    conversations: int
    turns: int


FULL = Extent(tuple(POLICIES), workers=4, conversations=24, turns=6)
QUICK = Extent(("least_loaded", "lottery"), workers=2, conversations=6, turns=3)


@dataclass(frozen=True, slots=True)
class Opening:
    """How every conversation begins."""

    name: str
    system_words: int


OPENINGS = (Opening("nothing in common", 0), Opening("a long system prompt in common", 400))


def measure(*, is_quick: bool) -> Table:
    extent = QUICK if is_quick else FULL
    rows = []
    for policy in extent.policies:
        with Servers() as servers:
            system = _system(servers, policy, workers=extent.workers, slots=SLOTS)
            rows += [_row(system, opening, POLICIES[policy], extent) for opening in OPENINGS]
    with Servers() as servers:
        system = _system(servers, "least_loaded", workers=1, slots=SLOTS * extent.workers)
        rows += [_row(system, opening, LIMIT, extent) for opening in OPENINGS]
    return Table(
        title="Conversations find their cache",
        note=f"{extent.conversations} conversations of {extent.turns} turns at once over {extent.workers} scripted "
        f"workers that take {PREFILL_US:g} µs for a token of the prompt that is not cached.",
        columns=("conversations have", "policy", "prompt tokens cached", "first token p50 ms", "first token p95 ms"),
        rows=tuple(sorted(rows, key=lambda row: [opening.name for opening in OPENINGS].index(row[0]))),
    )


def _system(servers: Servers, policy: str, *, workers: int, slots: int) -> System:
    script = {"reply": "word", "tokens": 40, "token_ms": 2, "prefill_us_per_token": PREFILL_US}
    return bring_up(servers, [scripted(script, slots=slots)] * workers, policy=policy)


def _row(system: System, opening: Opening, policy: str, extent: Extent) -> tuple[str, str, float, float, float]:
    replies = asyncio.run(_converse(system, opening, extent))
    share = sum(reply.cached_tokens for reply in replies) / sum(reply.prompt_tokens for reply in replies)
    firsts = sorted(reply.first_token_s * 1000 for reply in replies)
    return opening.name, policy, share, median(firsts), firsts[int(len(firsts) * 0.95)]


async def _converse(system: System, opening: Opening, extent: Extent) -> Sequence[Reply]:
    """All conversations side by side, each at its own pace."""
    rng = random.Random(opening.name)  # the same texts for every policy
    start = [{"role": "system", "content": prose(rng, opening.system_words)}] if opening.system_words else []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        conversations = (
            _conversation(session, system.gateway.url, start, random.Random(number), extent.turns)
            for number in range(extent.conversations)
        )
        return [reply for replies in await asyncio.gather(*conversations) for reply in replies]


async def _conversation(
    session: aiohttp.ClientSession, url: str, start: Sequence[MessageT], rng: random.Random, turns: int
) -> Sequence[Reply]:
    messages, replies = list(start), []
    for _ in range(turns):
        await asyncio.sleep(rng.uniform(0, 0.3))  # somebody reads and writes
        messages.append({"role": "user", "content": prose(rng, 80)})
        replies.append(await ask(session, url, SCRIPTED, messages, tokens=40))
        messages.append({"role": "assistant", "content": replies[-1].text})
    return replies
