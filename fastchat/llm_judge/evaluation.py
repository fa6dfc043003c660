"""The two stages that fill a folder: answers, then verdicts. What stands there is not asked for again.

A row is written the moment it is there, so a killed process loses what was in flight and nothing else.
"""

import time
from collections.abc import Callable, Iterator, Sequence
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
from fastchat.llm_judge.plan import Foreseen, foresee_verdict
from fastchat.llm_judge.prompts import JudgePrompts
from fastchat.llm_judge.records import Answer, Failure, PairVerdict, Question, SingleVerdict
from fastchat.llm_judge.running import Done, Tally

Verdict: TypeAlias = SingleVerdict | PairVerdict
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
        if self.mode is Mode.PAIRWISE_ALL:
            return list(combinations(self.models, 2))
        if self.mode is Mode.PAIRWISE_BASELINE and self.baseline is not None:
            return [(model, self.baseline) for model in self.models if model != self.baseline]
        return [(model,) for model in self.models]

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
                models = group if self.mode is Mode.PAIRWISE_ALL else group[:1]
                found += replace(self, models=models).matches(folder, answered, judge)
        return found

    def foreseen(self, folder: BenchFolder, questions: Sequence[Question], judge: str) -> Iterator[Foreseen]:
        """The calls that are left, whether there are answers yet or not."""
        had = {(key.question_id, key.models, key.turn) for key in _judged(folder, judge, self.mode)}
        for question in questions:
            for turn in range(1, len(question.turns) + 1):
                for group in self.groups:
                    if (question.question_id, tuple(sorted(group)), turn) not in had:
                        yield from foresee_verdict(judge, question, turn, len(group))


async def get_answers(
    folder: BenchFolder, jobs: Sequence[AnswerJob], ask: Ask, manner: Manner, *, parallel: int, tell: Tell
) -> Tally:
    """
    Raises:
        SetupError: a person has to mend something first.
    """
    models = list(dict.fromkeys(job.model for job in jobs))

    def record(done: Done[AnswerJob, Answer]) -> None:
        if done.result is not None:
            append_row(folder.answers(done.job.model), done.result)
        elif done.error is not None:
            append_row(folder.answer_failures(done.job.model), answering.failure(done.job, done.error, time.time()))
        tell(done.result is not None)

    async def work(job: AnswerJob) -> Answer:
        return await answering.answer(job, ask, manner)

    try:
        return await running.run(jobs, work, parallel=parallel, on_done=record)
    finally:
        for model in models:
            _settle_answers(folder, model)


async def get_verdicts(
    folder: BenchFolder,
    matches: Sequence[Match],
    ask: Ask,
    ask_afresh: Ask,
    making: MatchMaking,
    manner: Callable[[str], JudgeManner],
    *,
    parallel: int,
    tell: Tell,
) -> Tally:
    """`ask_afresh` asks without the cache, for what had no verdict before: it would find there what nobody could read.

    Raises:
        SetupError: a person has to mend something first.
    """
    judges = {match.judge for match in matches}
    failed_before = {key_of(row) for judge in judges for row in read_recorded(folder.judge_failures(judge), Failure)}
    failures = 0

    def record(done: Done[Match, Verdict | Failure]) -> None:
        nonlocal failures
        row = done.result
        assert row is not None, "a judge's failure is a result, too"
        if isinstance(row, Failure):
            failures += 1
            append_row(folder.judge_failures(done.job.judge), row)
        else:
            append_row(folder.verdicts(done.job.judge, making.mode), row)
        tell(not isinstance(row, Failure))

    async def work(match: Match) -> Verdict | Failure:
        asked = ask_afresh if match.key in failed_before else ask
        return await judging.judge(match, asked, making.prompts, manner(match.judge))

    try:
        tally = await running.run(matches, work, parallel=parallel, on_done=record)
    finally:
        for judge in judges:
            _settle_verdicts(folder, judge, making.mode)
    return Tally(tally.done - failures, failures, tally.is_cut_short)


def missing_answers(folder: BenchFolder, models: Sequence[str], questions: Sequence[Question]) -> Sequence[AnswerJob]:
    answers = folder.read_answers(models)
    return list(answering.unanswered(models, questions, lambda model, number: number in answers[model]))


def missing_verdicts(folder: BenchFolder, matches: Sequence[Match], mode: Mode) -> Sequence[Match]:
    had: set[Key] = set()
    for judge in {match.judge for match in matches}:
        had |= _judged(folder, judge, mode)
    return [match for match in matches if match.key not in had]


def _judged(folder: BenchFolder, judge: str, mode: Mode) -> set[Key]:
    row: type[Verdict] = SingleVerdict if mode is Mode.SINGLE else PairVerdict
    return judged(read_recorded(folder.verdicts(judge, mode), row))


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
    if file.exists() and mode is Mode.SINGLE:
        settle(file, SingleVerdict, key_of, _order)
    elif file.exists():
        settle(file, PairVerdict, key_of, _order)
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
