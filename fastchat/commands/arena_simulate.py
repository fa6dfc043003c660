"""`fastchat arena simulate`: battles of programs that vote by a stated rule, through the arena's API."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Settings, setting

if TYPE_CHECKING:
    from fastchat.arena.simulation.voters import Simulated, Simulation


class SimulateSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_SIMULATE_")

    prompts: Path | None = setting(
        None, 'what is asked: {"text": "…"} a line, as an arena\'s questions', metavar="FILE", positional=True
    )
    url: str = setting("http://localhost:8000", "where the arena is")
    arena: str = setting("default", "which arena there", metavar="NAME")
    rule: str = setting("concise:40", "what the voters prefer: concise[:WORDS] or holds:TEXT")
    sharpness: NonNegativeFloat = setting(2.0, "how surely they vote for what they prefer; 0 throws a coin")
    first_n: PositiveInt | None = setting(None, "only so many prompts", metavar="N")
    repeats: PositiveInt = setting(1, "battles on each prompt", metavar="N")
    voters: PositiveInt = setting(10, "how many take turns", metavar="N")
    parallel: PositiveInt = setting(4, "battles at the same time", metavar="N")
    max_tokens: PositiveInt | None = setting(None, "longest answers (default: the arena's)", metavar="N")
    seed: int = setting(0, "of the order of the prompts and of the votes")
    as_json: bool = setting(False, "print what came of it for programs", "--json")


def main(argv: Sequence[str] | None = None) -> None:
    """
    Raises:
        SetupError: there is nothing to ask, no such rule, or no arena.
        SystemExit: some battles failed.
    """
    settings = SimulateSettings.from_argv(
        argv, prog="fastchat arena simulate", description="Programs battle and vote; each vote says by which rule."
    )
    plan = _plan(settings)
    done = asyncio.run(_run(plan))
    if settings.as_json:
        wins = {model: dict(counts) for model, counts in done.wins.items()}
        print(
            json.dumps(
                {"rule": plan.rule.statement, "votes": len(done.votes), "models": wins, "failures": dict(done.failures)}
            )
        )
    else:
        _show(plan, done)
    if done.failures:
        raise SystemExit(1)


def _plan(settings: SimulateSettings) -> "Simulation":
    from dataclasses import replace

    from fastchat.arena.questions import QuestionSet
    from fastchat.arena.simulation.rules import parse_rule
    from fastchat.arena.simulation.voters import Simulation

    if settings.prompts is None:
        raise SetupError("Which prompts? fastchat arena simulate PROMPTS.jsonl")
    prompts = list(dict.fromkeys(question.text for question in QuestionSet.read(settings.prompts)))
    return Simulation(
        url=settings.url,
        arena=settings.arena,
        prompts=prompts[: settings.first_n],
        rule=replace(parse_rule(settings.rule), sharpness=settings.sharpness),
        repeats=settings.repeats,
        voters=settings.voters,
        parallel=settings.parallel,
        max_tokens=settings.max_tokens,
        seed=settings.seed,
    )


async def _run(plan: "Simulation") -> "Simulated":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from fastchat.arena.simulation.voters import simulate

    columns = (TextColumn("battles"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        bar = bars.add_task("battles", total=len(plan.prompts) * plan.repeats, failed=0)
        failed = 0

        def tell(is_done: bool) -> None:
            nonlocal failed
            failed += not is_done
            bars.update(bar, advance=1, failed=failed)

        return await simulate(plan, tell)


def _show(plan: "Simulation", done: "Simulated") -> None:
    print(f"{plan.rule.statement}, sharpness {plan.rule.sharpness:g}; {len(done.votes)} votes of {plan.voters} voters")
    for model, counts in sorted(done.wins.items()):
        print(f"  {model}: {counts['won']} won, {counts['lost']} lost, {counts['tied']} tied")
    for reason, number in done.failures.items():
        print(f"  {number} battles without a vote: {reason}", file=sys.stderr)
