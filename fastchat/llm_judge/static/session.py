"""A run of benchmarks into a folder: model by model, task by task. What is done is not run again."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from fastchat.llm_judge.asking import Ask
from fastchat.llm_judge.budget import Budget
from fastchat.llm_judge.cache import Cache, cached
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.prices import PriceList
from fastchat.llm_judge.running import retrying
from fastchat.llm_judge.session import Watcher
from fastchat.llm_judge.settings import Reach, ReachSettings
from fastchat.llm_judge.static.asking import Asking
from fastchat.llm_judge.static.echo import Echo
from fastchat.llm_judge.static.harness import Harness
from fastchat.llm_judge.static.records import Plan, is_done, write_result
from fastchat.llm_judge.static.texts import EngineTexts, ServedTexts, poster


async def run_tasks(
    settings: ReachSettings,
    folder: Path,
    models: Sequence[str],
    tasks: Sequence[str],
    plan: Plan,
    watcher: Watcher,
    on_done: Callable[[Path], None],
) -> None:
    """`on_done` is told of each file that is written.

    Raises:
        SetupError: a person has to mend something first. What was written until then stays.
        MissingPackage: lm-eval is not installed.
    """
    prices = PriceList.read(settings.prices)
    with BenchFolder(folder).claimed():
        harness = await asyncio.to_thread(Harness, tasks, plan)
        async with settings.open_reach(models) as reach:
            named = [reach.find(model) or model for model in models] or reach.contestants
            left = [(model, task) for model in named for task in tasks if not is_done(folder, model, task, plan)]
            budget = Budget(prices, folder, settings.budget, free=reach.free)
            for model, _ in left:
                reach.check(model)
                budget.check(model)
            cache = Cache(settings.cache or folder / ".cache") if settings.caching else None
            with budget.ledger() as paid:
                ask = paid(retrying(reach.ask))
                ask = cached(ask, cache) if cache else ask
                for model, task in left:
                    if reach.local.must_load(model):
                        watcher.loading(model)
                        await reach.local.load(model)
                    asking = _asking(settings, reach, budget, watcher, model, task, ask)
                    result = await asyncio.to_thread(harness.run, task, asking, asyncio.get_running_loop())
                    on_done(write_result(folder, result))


def _asking(
    settings: ReachSettings, reach: Reach, budget: Budget, watcher: Watcher, model: str, task: str, ask: Ask
) -> Asking:
    def stage(name: str, total: int) -> AbstractContextManager[Callable[[bool], None]]:
        return watcher.stage(f"{task}: {name}", total, budget)

    if settings.budget is not None and model not in reach.free:
        why_not = (
            f"--budget cannot be kept: what {model!r} takes for likelihoods is not counted. Without --budget it is "
            "asked all the same; tasks that generate are counted."
        )
        return Asking(model, ask, None, None, why_not, settings.parallel, stage)
    if model in reach.local.names:
        return Asking(model, ask, None, EngineTexts(reach.local.engine(model)), "", settings.parallel, stage)
    post = retrying(poster(reach.pipe, settings.api_key))
    return Asking(model, ask, Echo(model, post), ServedTexts(model, post), "", settings.parallel, stage)
