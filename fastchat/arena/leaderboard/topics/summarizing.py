"""A line on each group, by a model: from its most central prompts, and some drawn from all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from secrets import token_hex

import numpy as np

from fastchat.arena.leaderboard.categories.labelling import Ask
from fastchat.core.errors import WorkerFailed

CENTRAL = 0.8  # share of the prompts shown; the others are random ones
_LONGEST = 200  # characters of a prompt
_LONGEST_TOPIC = 120


@dataclass(frozen=True, slots=True)
class Summary:
    topic: str
    percentage: float  # of all prompts in groups, from 0 to 1, as FastChat's file has it


async def summarize(groups: Sequence[Sequence[str]], group: int, ask: Ask, *, num_prompts: int, seed: int) -> Summary:
    """
    Raises:
        RequestError, UpstreamError: the model did not answer.
        WorkerFailed: it answered nothing.
    """
    prompts = groups[group]
    messages = "\n".join(_short(text) for text in shown(prompts, num_prompts, seed))
    # Whoever wrote the messages cannot know the fence, so cannot pretend that they have ended.
    question = (files(__package__) / "topic_prompt.md").read_text("utf-8").format(fence=token_hex(8), messages=messages)
    said = await ask([{"role": "user", "content": question}])
    line = next((line.strip(" \t\"'*#.`") for line in said.splitlines() if line.strip(" \t\"'*#.`")), "")
    if not line:
        raise WorkerFailed(f"The model said nothing of group {group}.")
    return Summary(line[:_LONGEST_TOPIC], round(len(prompts) / sum(map(len, groups)), 6))


def shown(prompts: Sequence[str], count: int, seed: int) -> list[str]:
    """The most central ones, which come first, and some drawn from the rest."""
    central = min(len(prompts), int(count * CENTRAL))
    rest = list(prompts[central:])
    drawn = np.random.default_rng(seed).permutation(len(rest))[: count - central]
    return [*prompts[:central], *(rest[place] for place in sorted(drawn))]


def _short(text: str) -> str:
    """Beginning and end of a long one: the question stands at one of the two."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST // 2]} … {flat[-_LONGEST // 2 :]}"
