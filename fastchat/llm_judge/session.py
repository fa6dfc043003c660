"""One run into one folder: who can be asked, what it costs, and the stages one after the other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from fastchat.llm_judge.answering import Manner
from fastchat.llm_judge.asking import Ask, Call, Reply
from fastchat.llm_judge.batch_providers import BatchServices
from fastchat.llm_judge.batches import Pace, batching
from fastchat.llm_judge.budget import Budget
from fastchat.llm_judge.cache import Cache, cached
from fastchat.llm_judge.evaluation import (
    MatchMaking,
    Tell,
    get_answers,
    get_verdicts,
    given_up,
    missing_answers,
    missing_verdicts,
)
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.judging import JudgeManner
from fastchat.llm_judge.models import Start
from fastchat.llm_judge.places import Parallel
from fastchat.llm_judge.plan import Plan, foresee_answers, plan
from fastchat.llm_judge.prices import Price, PriceList
from fastchat.llm_judge.questions import QuestionSet
from fastchat.llm_judge.records import Question
from fastchat.llm_judge.running import Tally, Unasked, closing, retrying
from fastchat.llm_judge.settings import Reach, SessionSettings


class Watcher(Protocol):
    """Whoever looks on."""

    def stage(self, name: str, total: int, budget: Budget) -> AbstractContextManager[Tell]: ...

    def loading(self, model: str) -> None: ...

    def unasked(self, model: str, left: Unasked) -> None: ...

    def given_up(self, judge: str, verdicts: int) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Session:
    folder: BenchFolder
    questions: Sequence[Question]
    reach: Reach
    budget: Budget
    cache: Cache | None
    parallel: Parallel
    max_attempts: int | None  # at a verdict; None: as often as there are runs
    watcher: Watcher
    _ask: Ask
    _ask_afresh: Ask  # without looking into the cache

    def name(self, model: str) -> str:
        """What a model is called in the files. One that nobody has may have answered before."""
        return self.reach.find(model) or model

    def names(self, models: Iterable[str]) -> list[str]:
        """Likewise of several, each once: one may have been named twice, or by its name and by its path."""
        return list(dict.fromkeys(map(self.name, models)))

    def plan(
        self, models: Sequence[str], manner: Manner | None, making: MatchMaking | None, judges: Iterable[str]
    ) -> Plan:
        """What is left of answers and verdicts."""
        calls = list(foresee_answers(missing_answers(self.folder, models, self.questions), manner)) if manner else []
        if making is not None:
            calls += [
                call
                for judge in judges
                for call in making.foreseen(self.folder, self.questions, judge, self.max_attempts)
            ]
        return plan(calls, self._price)

    def _price(self, model: str) -> Price | None:
        price = self.budget.price(model)
        return price.in_batch if price is not None and self.parallel.is_gathered(model) else price

    def check(self, found: Plan) -> None:
        """Before anything is paid for.

        Raises:
            SetupError: a model that shall be asked is nowhere, or its price is not known although a budget is set.
        """
        for share in found.shares:
            self.reach.check(share.model)
            self.budget.check(share.model)

    async def answer(self, models: Sequence[str], manner: Manner) -> Tally:
        """
        Raises:
            SetupError: a model cannot be loaded.
        """
        jobs = missing_answers(self.folder, models, self.questions)
        await self._load({job.model for job in jobs})
        with self.watcher.stage("answers", len(jobs), self.budget) as tell:
            tally = await get_answers(self.folder, jobs, self._ask, manner, parallel=self.parallel, tell=tell)
        return self._told(tally)

    async def judge(
        self, making: MatchMaking, judges: Sequence[str], manner: Callable[[bool], JudgeManner], *, only_answered: bool
    ) -> Tally:
        """`manner` is told whether a judge keeps to a schema. With `only_answered`, what has no answer is left out.

        Raises:
            SetupError: likewise; or answers are missing.
        """
        find = making.matches_of_answered if only_answered else making.matches
        matches = [match for judge in judges for match in find(self.folder, self.questions, judge)]
        left = missing_verdicts(self.folder, matches, making.mode, self.max_attempts)
        await self._load({match.judge for match in left})
        with self.watcher.stage("verdicts", len(left), self.budget) as tell:
            tally = await get_verdicts(
                self.folder,
                left,
                self._ask,
                self._ask_afresh,
                making,
                lambda judge: manner(self.reach.holds_to_schema(judge)),
                parallel=self.parallel,
                tell=tell,
            )
        for judge in judges:
            lost = given_up(self.folder, judge, self.max_attempts)
            if count := sum(match.key in lost for match in matches):
                self.watcher.given_up(judge, count)
        return self._told(tally)

    def _told(self, tally: Tally) -> Tally:
        for model, left in tally.unasked.items():
            self.watcher.unasked(model, left)
        return tally

    async def _load(self, models: Iterable[str]) -> None:
        for model in sorted(models):
            if self.reach.local.must_load(model):
                self.watcher.loading(model)
                await self.reach.local.load(model)


@asynccontextmanager
async def open_session(
    settings: SessionSettings,
    folder: BenchFolder,
    asked: QuestionSet,
    questions: Sequence[Question],
    wanted: Sequence[str],
    watcher: Watcher,
    start: Start | None = None,
) -> AsyncIterator[Session]:
    """`asked` is the whole set, `questions` are those of it that count in this run.

    With `start`, models that are loaded here are started as servers.

    Raises:
        SetupError: another run writes into the folder, it holds other questions, or a server does not answer.
    """
    prices = PriceList.read(settings.prices)
    async with AsyncExitStack() as opened:
        opened.enter_context(folder.claimed())
        folder.keep_questions(asked)
        reach = await opened.enter_async_context(settings.open_reach(wanted, start))
        budget = Budget(prices, folder.root, settings.budget, free=reach.free)
        paid = opened.enter_context(budget.ledger())
        cache = opened.enter_context(_cache(settings, folder))
        way = await opened.enter_async_context(_way(settings, folder, reach, watcher))
        ask = paid(way.ask)
        yield Session(
            folder,
            questions,
            reach,
            budget,
            cache,
            Parallel(settings.parallel, settings.parallel_total, reach.addresses, way.is_gathered),
            None if settings.retry_failed else settings.max_attempts,
            watcher,
            cached(ask, cache) if cache else ask,
            cached(ask, cache, afresh=True) if cache else ask,
        )


class _Way(NamedTuple):
    """How models are asked, and which of them by batches."""

    ask: Ask
    is_gathered: Callable[[str], bool]


@asynccontextmanager
async def _way(settings: SessionSettings, folder: BenchFolder, reach: Reach, watcher: Watcher) -> AsyncIterator[_Way]:
    direct = retrying(closing(reach.ask))
    if not settings.batch:
        yield _Way(direct, lambda _: False)
        return
    few = asyncio.Semaphore(settings.parallel)

    async def one_by_one(call: Call) -> Reply:
        async with few:
            return await direct(call)

    async with BatchServices(reach, settings.api_key) as services:
        pace = Pace(poll_s=settings.batch_poll_s)
        async with batching(folder.root, services.find, one_by_one, say=watcher.say, pace=pace) as ask:
            yield _Way(closing(ask), lambda model: services.find(model) is not None)


@contextmanager
def _cache(settings: SessionSettings, folder: BenchFolder) -> Iterator[Cache | None]:
    if not settings.caching:
        yield None
        return
    with Cache(settings.cache or folder.root / ".cache") as cache:
        yield cache
