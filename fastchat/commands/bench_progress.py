"""What `fastchat bench` tells on the error output: the plan, a bar for each stage, what is left."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

if TYPE_CHECKING:
    from fastchat.llm_judge.budget import Budget
    from fastchat.llm_judge.evaluation import Tell
    from fastchat.llm_judge.plan import Plan
    from fastchat.llm_judge.running import Unasked
    from fastchat.llm_judge.session import Session


class ProgressBars:
    """A bar for each stage, on the error output: done, failed, what was spent, time left."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def loading(self, model: str) -> None:
        self._console.print(f"Loading {model} …", highlight=False)

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def unasked(self, model: str, left: "Unasked") -> None:
        self.say(f"{model} is not asked any more; left of what was to ask: {left.jobs}. {left.reason}")

    def given_up(self, judge: str, verdicts: int) -> None:
        self.say(
            f"Verdicts of {judge} that could not be had in --max-attempts, and are not asked for any more: {verdicts}. "
            "With --retry-failed they are."
        )

    @contextmanager
    def stage(self, name: str, total: int, budget: "Budget") -> "Iterator[Tell]":
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]} failed · ${task.fields[usd]:.2f}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console) as bars:
            bar = bars.add_task(name, total=total, failed=0, usd=budget.spending.usd)
            failed = 0

            def tell(is_done: bool) -> None:
                nonlocal failed
                failed += not is_done
                bars.update(bar, advance=1, failed=failed, usd=budget.spending.usd)

            yield tell


def begin(session: "Session", plan: "Plan") -> None:
    """
    Raises:
        SetupError: as `Session.check`.
    """
    session.check(plan)
    tell_plan(plan, f"into {session.folder.root}", session.budget.left_usd)


def tell_plan(plan: "Plan", about: str, left_usd: float | None) -> None:
    """What is to be asked of whom, at what price, and whether the budget suffices."""
    console = Console(stderr=True)
    if not plan.calls:
        console.print("Nothing is left to ask.")
        return
    table = Table("model", *(Column(name, justify="right") for name in ("calls", "tokens in", "tokens out", "USD")))
    for share in plan.shares:
        usd = "unknown" if share.usd is None else f"{share.usd:.2f}"
        counts = (share.calls, share.prompt_tokens, share.completion_tokens)
        table.add_row(share.model, *(f"{count:,}" for count in counts), usd)
    console.print(f"To ask, about ({about}):", highlight=False)
    console.print(table)
    if left_usd is not None:
        word = "which will not suffice" if plan.usd > left_usd else "which should suffice"
        console.print(f"Of the budget ${left_usd:.2f} are left, {word}.", highlight=False)


def end(session: "Session", left: "Plan") -> None:
    console = Console(stderr=True)
    spending = session.budget.spending
    facts = [f"{spending.calls} calls so far", f"${spending.usd:.4f}"]
    if spending.unpriced_calls:
        facts.append(f"{spending.unpriced_calls} of them of models without a known price")
    if session.cache is not None and session.cache.hits:
        facts.append(f"{session.cache.hits} replies from the cache")
    console.print(", ".join(facts) + f". All is in {session.folder.root}.", highlight=False, soft_wrap=True)
    if left.calls:
        console.print(
            f"About {left.calls} calls are left: what failed stands in answer_failures and in …_failures.jsonl. The "
            "same command goes on from here; where the budget was the reason, with a higher one.",
            highlight=False,
            soft_wrap=True,
        )


def tell_kin(judges: Iterable[str], models: Iterable[str]) -> None:
    """Whom a judge may favour for being like itself."""
    from fastchat.llm_judge.families import kin

    contestants = list(models)
    console = Console(stderr=True)
    for judge in judges:
        for each in kin(judge, contestants):
            whom = "itself" if each.is_judge else f"{each.model}, of its own family {' and '.join(each.families)}"
            console.print(f"{judge} judges {whom}: its verdicts may favour it.", highlight=False, soft_wrap=True)
