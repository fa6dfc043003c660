"""Simulated voters at an arena's API: each has a cookie of its own, asks, reads both answers to the end, and votes."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp

from fastchat.arena.records import Outcome
from fastchat.arena.simulation.rules import Rule
from fastchat.core.errors import SetupError

_API = "/api/arena"
_EVENTS = {"Accept": "text/event-stream"}
_MOST_WAIT_S = 120.0  # that an arena may ask for between two requests


@dataclass(frozen=True, slots=True)
class Simulation:
    """What is to be done, stated before it begins. `voters` take turns."""

    url: str
    arena: str
    prompts: Sequence[str]
    rule: Rule
    repeats: int = 1
    voters: int = 10
    parallel: int = 4
    max_tokens: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Cast:
    """One vote, as the arena told it afterwards."""

    conversation_id: str
    prompt: str
    outcome: Outcome
    models: tuple[str, str]  # left, right


@dataclass(frozen=True, slots=True)
class Simulated:
    votes: Sequence[Cast]
    failures: Mapping[str, int]  # by what was said

    @property
    def wins(self) -> Mapping[str, Mapping[str, int]]:
        """Of each model: won, lost, tied."""
        counts: dict[str, Counter[str]] = {}
        for vote in self.votes:
            left, right = (counts.setdefault(model, Counter()) for model in vote.models)
            if vote.outcome is Outcome.LEFT:
                left["won"] += 1
                right["lost"] += 1
            elif vote.outcome is Outcome.RIGHT:
                left["lost"] += 1
                right["won"] += 1
            else:
                left["tied"] += 1
                right["tied"] += 1
        return counts


class _Refused(Exception):
    """The arena said no, in its words."""


async def simulate(plan: Simulation, on_done: Callable[[bool], None] = lambda done: None) -> Simulated:
    """All battles of the plan; one that fails is counted with its reason, and the others go on. `on_done` is told of
    each whether it was voted on.

    Raises:
        SetupError: the arena cannot be reached, or has no such arena.
    """
    dice = random.Random(plan.seed)
    battles = [(number, prompt) for number, prompt in enumerate([*plan.prompts] * plan.repeats)]
    dice.shuffle(battles)
    votes: list[Cast] = []
    failures: Counter[str] = Counter()
    async with AsyncExitStack() as opened:
        voters = [
            await opened.enter_async_context(
                aiohttp.ClientSession(plan.url, cookie_jar=aiohttp.CookieJar(unsafe=True), raise_for_status=False)
            )
            for _ in range(plan.voters)
        ]
        for voter in voters:
            await _enter(voter, plan)
        waiting = asyncio.Queue[tuple[int, str]]()
        for battle in battles:
            waiting.put_nowait(battle)

        async def work() -> None:
            while not waiting.empty():
                number, prompt = waiting.get_nowait()
                try:
                    own = random.Random(f"{plan.seed}/{number}")
                    votes.append(await _battle(voters[number % len(voters)], plan, prompt, own))
                    on_done(True)
                except (_Refused, aiohttp.ClientError, TimeoutError) as error:
                    failures[str(error) or type(error).__name__] += 1
                    on_done(False)

        async with asyncio.TaskGroup() as group:
            for _ in range(plan.parallel):
                group.create_task(work())
    return Simulated(votes, failures)


async def _enter(voter: aiohttp.ClientSession, plan: Simulation) -> None:
    """Agree to the terms as they stand, and get a cookie."""
    try:
        terms = await _ask(voter, "GET", f"/consent?arena={plan.arena}")
        if not terms["is_given"]:
            agreed = {"arena": plan.arena, "version": terms["version"]}
            await _ask(voter, "POST", "/consent", agreed)
    except _Refused as refusal:
        raise SetupError(f"The arena {plan.arena!r} at {plan.url} cannot be entered: {refusal}") from None
    except aiohttp.ClientError as error:
        raise SetupError(
            f"No arena answers at {plan.url}: {error}. Start one with: fastchat up, or name another with --url."
        ) from None


async def _battle(voter: aiohttp.ClientSession, plan: Simulation, prompt: str, dice: random.Random) -> Cast:
    """
    Raises:
        _Refused: no battle, no answers, or no vote.
        aiohttp.ClientError: the connection broke.
    """
    begun = await _ask(voter, "POST", "/conversations", {"mode": "battle", "arena": plan.arena})
    place = f"/conversations/{begun['conversation_id']}"
    asked: dict[str, Any] = {"question": prompt}
    if plan.max_tokens is not None:
        asked["sampling"] = {"max_tokens": plan.max_tokens}
    await _ask(voter, "POST", f"{place}/turns", asked)
    async with voter.get(f"{_API}{place}/follow", headers=_EVENTS) as stream:
        async for _ in stream.content.iter_any():
            pass  # the last event is the conversation as it stands, which is asked for below
    shown = await _ask(voter, "GET", place)
    answers = {answer["side"]: answer for answer in shown["turns"][-1]["answers"]}
    if not shown["can_vote"]:
        raise _Refused(
            next((answer["failure"] for answer in answers.values() if answer["failure"]), "no whole answers")
        )
    left, right = answers["left"]["text"], answers["right"]["text"]
    outcome = plan.rule.vote(left, right, dice)
    cast = {"token": shown["vote_token"], "outcome": outcome.value, "reasons": [plan.rule.statement]}
    voted = await _ask(voter, "POST", f"{place}/vote", cast)
    one, other = voted["conversation"]["models"]
    return Cast(begun["conversation_id"], prompt, outcome, (one, other))


async def _ask(voter: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """A request, made again once the arena says it may be.

    Raises:
        _Refused: in the arena's words.
    """
    waited_s = 0.0
    while True:
        async with voter.request(method, f"{_API}{path}", json=body) as reply:
            if reply.status < 400:
                return await reply.json() if reply.content_type == "application/json" else None
            wait_s = float(reply.headers.get("Retry-After", "nan"))
            if not waited_s + wait_s <= _MOST_WAIT_S:  # also where it names no time
                told = await reply.json(content_type=None) if "json" in reply.content_type else {}
                raise _Refused(told.get("error", {}).get("message") or f"HTTP {reply.status}")
        waited_s += wait_s
        await asyncio.sleep(wait_s)
