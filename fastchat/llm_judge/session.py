"""One run into one folder: who can be asked, what it costs, and the stages one after the other."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from fastchat.llm_judge.answering import Manner
from fastchat.llm_judge.asking import Ask
from fastchat.llm_judge.budget import Budget
from fastchat.llm_judge.cache import Cache, cached
from fastchat.llm_judge.evaluation import (
    MatchMaking,
    Tell,
    get_answers,
    get_verdicts,
    missing_answers,
    missing_verdicts,
)
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.judging import JudgeManner
from fastchat.llm_judge.plan import Plan, foresee_answers, plan
from fastchat.llm_judge.prices import PriceList
from fastchat.llm_judge.questions import QuestionSet
from fastchat.llm_judge.records import Question
from fastchat.llm_judge.running import Tally, retrying
from fastchat.llm_judge.settings import Reach, ReachSettings


class Watcher(Protocol):
    """Whoever looks on."""

    def stage(self, name: str, total: int, budget: Budget) -> AbstractContextManager[Tell]: ...

    def loading(self, model: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Session:
    folder: BenchFolder
    questions: Sequence[Question]
    reach: Reach
    budget: Budget
    cache: Cache | None
    parallel: int
    watcher: Watcher
    _ask: Ask
    _ask_afresh: Ask  # without looking into the cache

    def name(self, model: str) -> str:
        """What a model is called in the files. One that nobody has may have answered before."""
        return self.reach.find(model) or model

    def plan(
        self, models: Sequence[str], manner: Manner | None, making: MatchMaking | None, judges: Iterable[str]
    ) -> Plan:
        """What is left of answers and verdicts."""
        calls = list(foresee_answers(missing_answers(self.folder, models, self.questions), manner)) if manner else []
        if making is not None:
            calls += [call for judge in judges for call in making.foreseen(self.folder, self.questions, judge)]
        return plan(calls, self.budget.price)

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
            return await get_answers(self.folder, jobs, self._ask, manner, parallel=self.parallel, tell=tell)

    async def judge(
        self, making: MatchMaking, judges: Sequence[str], manner: Callable[[bool], JudgeManner], *, only_answered: bool
    ) -> Tally:
        """`manner` is told whether a judge keeps to a schema. With `only_answered`, what has no answer is left out.

        Raises:
            SetupError: likewise; or answers are missing.
        """
        find = making.matches_of_answered if only_answered else making.matches
        matches = [match for judge in judges for match in find(self.folder, self.questions, judge)]
        left = missing_verdicts(self.folder, matches, making.mode)
        await self._load({match.judge for match in left})
        with self.watcher.stage("verdicts", len(left), self.budget) as tell:
            return await get_verdicts(
                self.folder,
                left,
                self._ask,
                self._ask_afresh,
                making,
                lambda judge: manner(self.reach.holds_to_schema(judge)),
                parallel=self.parallel,
                tell=tell,
            )

    async def _load(self, models: Iterable[str]) -> None:
        for model in sorted(models):
            if self.reach.local.must_load(model):
                self.watcher.loading(model)
                await self.reach.local.load(model)


@asynccontextmanager
async def open_session(
    settings: ReachSettings,
    folder: BenchFolder,
    asked: QuestionSet,
    questions: Sequence[Question],
    wanted: Sequence[str],
    watcher: Watcher,
) -> AsyncIterator[Session]:
    """`asked` is the whole set, `questions` are those of it that count in this run.

    Raises:
        SetupError: another run writes into the folder, it holds other questions, or a server does not answer.
    """
    prices = PriceList.read(settings.prices)
    with folder.claimed():
        folder.keep_questions(asked)
        async with settings.open_reach(wanted) as reach:
            budget = Budget(prices, folder.root, settings.budget, free=reach.free)
            cache = Cache(settings.cache or folder.root / ".cache") if settings.caching else None
            with budget.ledger() as paid:
                ask = paid(retrying(reach.ask))
                yield Session(
                    folder,
                    questions,
                    reach,
                    budget,
                    cache,
                    settings.parallel,
                    watcher,
                    cached(ask, cache) if cache else ask,
                    cached(ask, cache, afresh=True) if cache else ask,
                )
