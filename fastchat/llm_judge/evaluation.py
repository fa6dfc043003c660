"""The two stages that fill a folder: answers, then verdicts. What stands there is not asked for again.

A row is written the moment it is there, so a killed process loses what was in flight and nothing else.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

from fastchat.llm_judge import answering, judging, running
from fastchat.llm_judge.answering import AnswerFailure, AnswerJob, Manner
from fastchat.llm_judge.asking import Ask
from fastchat.llm_judge.files import append_row, id_order, read_recorded, rewrite_rows, settle
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.judging import JudgeManner
from fastchat.llm_judge.matches import Key, Match, Mode, judged, key_of, plan_matches
from fastchat.llm_judge.places import Parallel
from fastchat.llm_judge.plan import Foreseen, foresee_verdict
from fastchat.llm_judge.prompts import JudgePrompts
from fastchat.llm_judge.records import Answer, Failure, Kind, ListVerdict, PairVerdict, Question, SingleVerdict, Verdict
from fastchat.llm_judge.running import Done, Tally

Tell: TypeAlias = Callable[[bool], None]  # of each job that ends: whether it was done


@dataclass(frozen=True, slots=True)
class MatchMaking:
    """Who is judged, how."""

    mode: Mode
    models: Sequence[str]
    prompts: JudgePrompts
    baseline: str | None = None

    @property
    def groups(self) -> Sequence[tuple[str, ...]]:
        """Models whose answers are shown to the judge together."""
        models = tuple(dict.fromkeys(self.models))
        if self.mode is Mode.PAIRWISE_ALL:
            return list(combinations(models, 2))
        if self.mode is Mode.LIST:
            return [models]
        if self.mode is Mode.PAIRWISE_BASELINE and self.baseline is not None:
            return [(model, self.baseline) for model in models if model != self.baseline]
        return [(model,) for model in models]

    @property
    def answering(self) -> Sequence[str]:
        """Models whose answers are needed."""
        return list(dict.fromkeys([*self.models, *(model for group in self.groups for model in group)]))

    def check(self) -> None:
        """
        Raises:
            SetupError: the models make no match.
        """
        plan_matches(self.mode, (), self.models, {}, "", self.prompts, baseline=self.baseline)

    def matches(self, folder: BenchFolder, questions: Sequence[Question], judge: str) -> Sequence[Match]:
        """All of them, judged or not.

        Raises:
            SetupError: answers are missing, or the models make no match.
        """
        answers = folder.read_answers(self.answering)
        references = folder.read_references(judge)
        return plan_matches(
            self.mode,
            questions,
            self.models,
            answers,
            judge,
            self.prompts,
            baseline=self.baseline,
            references=references,
        )

    def matches_of_answered(self, folder: BenchFolder, questions: Sequence[Question], judge: str) -> Sequence[Match]:
        """Those for which there are answers."""
        answers = folder.read_answers(self.answering)
        found: list[Match] = []
        for group in self.groups:
            answered = [each for each in questions if all(each.question_id in answers[model] for model in group)]
            if answered:
                models = group if self.mode in (Mode.PAIRWISE_ALL, Mode.LIST) else group[:1]
                found += replace(self, models=models).matches(folder, answered, judge)
        return found

    def foreseen(
        self, folder: BenchFolder, questions: Sequence[Question], judge: str, max_attempts: int | None = None
    ) -> Iterator[Foreseen]:
        """The calls that are left, whether there are answers yet or not."""
        settled = _judged(folder, judge, self.mode) | given_up(folder, judge, max_attempts)
        had = {(key.question_id, key.models, key.turn) for key in settled}
        for question in questions:
            for turn in range(1, len(question.turns) + 1):
                for group in self.groups:
                    if (question.question_id, tuple(sorted(group)), turn) not in had:
                        yield from foresee_verdict(judge, question, turn, len(group))


async def get_answers(
    folder: BenchFolder, jobs: Sequence[AnswerJob], ask: Ask, manner: Manner, *, parallel: Parallel, tell: Tell
) -> Tally:
    """
    Raises:
        SetupError: a person has to mend something first.
    """
    by_model: dict[str, list[AnswerJob]] = {}
    for job in jobs:
        by_model.setdefault(job.model, []).append(job)

    def record(done: Done[AnswerJob, Answer]) -> None:
        if done.result is not None:
            append_row(folder.answers(done.job.model), done.result)
        elif done.error is not None:
            append_row(folder.answer_failures(done.job.model), answering.failure(done.job, done.error, time.time()))
        tell(done.result is not None)

    async def work(job: AnswerJob) -> Answer:
        return await answering.answer(job, ask, manner)

    try:
        return await running.run(by_model, work, parallel=parallel, on_done=record)
    finally:
        for model in by_model:
            _settle_answers(folder, model)


async def get_verdicts(
    folder: BenchFolder,
    matches: Sequence[Match],
    ask: Ask,
    ask_afresh: Ask,
    making: MatchMaking,
    manner: Callable[[str], JudgeManner],
    *,
    parallel: Parallel,
    tell: Tell,
) -> Tally:
    """`ask_afresh` asks without the cache, for what had no verdict before: it would find there what nobody could read.

    Raises:
        SetupError: a person has to mend something first.
    """
    by_judge: dict[str, list[Match]] = {}
    for match in matches:
        by_judge.setdefault(match.judge, []).append(match)
    failed_before = {key: attempts for judge in by_judge for key, attempts in _attempts(folder, judge).items()}
    failures = 0

    def record(done: Done[Match, Verdict | Failure]) -> None:
        nonlocal failures
        row = done.result
        assert row is not None, "a judge's failure is a result, too"
        if isinstance(row, Failure):
            failures += 1
            attempts = row.attempts + failed_before.get(done.job.key, 0)
            append_row(folder.judge_failures(done.job.judge), row.model_copy(update={"attempts": attempts}))
        else:
            append_row(folder.verdicts(done.job.judge, making.mode), row)
        tell(not isinstance(row, Failure))

    async def work(match: Match) -> Verdict | Failure:
        asked = ask_afresh if match.key in failed_before else ask
        return await judging.judge(match, asked, making.prompts, manner(match.judge))

    try:
        tally = await running.run(by_judge, work, parallel=parallel, on_done=record)
    finally:
        for judge in by_judge:
            _settle_verdicts(folder, judge, making.mode)
    return replace(tally, done=tally.done - failures, failed=failures)


def missing_answers(folder: BenchFolder, models: Sequence[str], questions: Sequence[Question]) -> Sequence[AnswerJob]:
    answers = folder.read_answers(models)
    return list(answering.unanswered(models, questions, lambda model, number: number in answers[model]))


def missing_verdicts(
    folder: BenchFolder, matches: Sequence[Match], mode: Mode, max_attempts: int | None = None
) -> Sequence[Match]:
    had: set[Key] = set()
    for judge in {match.judge for match in matches}:
        had |= _judged(folder, judge, mode) | given_up(folder, judge, max_attempts)
    return [match for match in matches if match.key not in had]


def given_up(folder: BenchFolder, judge: str, max_attempts: int | None) -> set[Key]:
    """What this judge was asked so often, in all runs, that it is not asked again; None: nothing ever is."""
    if max_attempts is None:
        return set()
    return {key for key, attempts in _attempts(folder, judge).items() if attempts >= max_attempts}


def _attempts(folder: BenchFolder, judge: str) -> dict[Key, int]:
    return {key_of(row): row.attempts for row in read_recorded(folder.judge_failures(judge), Failure)}


def _judged(folder: BenchFolder, judge: str, mode: Mode) -> set[Key]:
    return judged(read_recorded(folder.verdicts(judge, mode), _row(mode)))


def _row(mode: Mode) -> type[Verdict]:
    rows: Mapping[Kind, type[Verdict]] = {"single": SingleVerdict, "pair": PairVerdict, "list": ListVerdict}
    return rows[mode.kind]


def _settle_answers(folder: BenchFolder, model: str) -> None:
    if folder.answers(model).exists():
        settle(folder.answers(model), Answer, lambda row: row.question_id, lambda row: id_order(row.question_id))
    if folder.answer_failures(model).exists():
        had = folder.read_answers([model])[model]
        rewrite_rows(
            folder.answer_failures(model),
            AnswerFailure,
            lambda rows: list({row.question_id: row for row in rows if row.question_id not in had}.values()),
        )


def _settle_verdicts(folder: BenchFolder, judge: str, mode: Mode) -> None:
    file = folder.verdicts(judge, mode)
    if file.exists():
        settle(file, _row(mode), key_of, _order)
    if folder.judge_failures(judge).exists():
        had = _judged(folder, judge, mode)
        rewrite_rows(
            folder.judge_failures(judge),
            Failure,
            lambda rows: list({key_of(row): row for row in rows if key_of(row) not in had}.values()),
        )


def _order(row: Verdict) -> object:
    key = key_of(row)
    return id_order(key.question_id), *key[1:]
