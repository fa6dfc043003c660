"""Who judges while `fastchat train` runs: a simulated voter's rule, or a model that sees the answers in both orders."""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastchat.train.win_rate import Judge, Pair

if TYPE_CHECKING:
    from fastchat.llm_judge.matches import Match
    from fastchat.llm_judge.prompts import JudgePrompts
    from fastchat.llm_judge.records import Failure, Verdict
    from fastchat.llm_judge.settings import Reach
    from fastchat.train.recipe import JudgeSection

_RULE = "rule:"
_TUNED, _BASE = "tuned", "base"
_SHOWN = 200  # characters of a reason


def judge_of(section: "JudgeSection", folder: Path, say: Callable[[str], None]) -> Judge:
    """`folder` keeps what the judge said, and what it cost.

    Raises:
        SetupError: there is no such rule, or the model cannot be asked.
    """
    if section.by.startswith(_RULE):
        return _by_rule(section.by.removeprefix(_RULE))
    return _ByModel(section, folder, say)


def _by_rule(text: str) -> Judge:
    from fastchat.arena.records import Outcome
    from fastchat.arena.simulation.rules import parse_rule

    rule = parse_rule(text)

    points = {Outcome.LEFT: 1.0, Outcome.RIGHT: 0.0}

    def judge(pairs: Sequence[Pair], step: int) -> list[float | None]:
        dice = random.Random(f"{text} {step}")
        return [points.get(rule.vote(pair.tuned, pair.base, dice), 0.5) for pair in pairs]

    return judge


class _ByModel:
    def __init__(self, section: "JudgeSection", folder: Path, say: Callable[[str], None]) -> None:
        from fastchat.llm_judge.prompts import read_prompts
        from fastchat.llm_judge.settings import ReachSettings

        given = {"api_url": section.api_url, "budget": section.budget, "prices": section.prices}
        said = {name: value for name, value in given.items() if value is not None}
        self._settings = ReachSettings().model_copy(update=said)  # what is not said, the environment may say
        self._wanted = section.by
        self._folder = folder
        self._say = say
        self._prompts = read_prompts()
        asyncio.run(self._check())

    def __call__(self, pairs: Sequence[Pair], step: int) -> list[float | None]:
        return asyncio.run(self._judge(pairs))

    async def _check(self) -> None:
        """Before anything is computed."""
        from fastchat.commands.paid_calls import paid_calls

        async with self._settings.open_reach([self._wanted]) as reach:
            name = _name(reach, self._wanted)
            with paid_calls(self._settings, reach, self._folder) as calls:
                calls.budget.check(name)

    async def _judge(self, pairs: Sequence[Pair]) -> list[float | None]:
        from fastchat.commands.paid_calls import paid_calls
        from fastchat.llm_judge.judging import JudgeManner, judge
        from fastchat.llm_judge.places import Parallel
        from fastchat.llm_judge.records import Failure
        from fastchat.llm_judge.running import Done, run

        verdicts: dict[int | str, Verdict | Failure] = {}

        def record(done: "Done[Match, Verdict | Failure]") -> None:
            if done.result is not None:
                verdicts[done.job.question.question_id] = done.result

        async with self._settings.open_reach([self._wanted]) as reach:
            name = _name(reach, self._wanted)
            if reach.local.must_load(name):
                await reach.local.load(name)
            with paid_calls(self._settings, reach, self._folder) as calls:
                manner = JudgeManner(is_json=reach.holds_to_schema(name))

                async def work(match: "Match") -> "Verdict | Failure":
                    return await judge(match, calls.ask, self._prompts, manner)

                matches = [_match(number, pair, name, self._prompts) for number, pair in enumerate(pairs)]
                parallel = Parallel(self._settings.parallel, None, reach.addresses)
                tally = await run({name: matches}, work, parallel=parallel, on_done=record)
        if tally.is_cut_short:
            self._say("judge.budget does not suffice for all questions")
        for left in tally.unasked.values():
            self._say(f"the judge {name} is not asked any more: {left.reason}")
        reasons = [found.reason for found in verdicts.values() if isinstance(found, Failure)]
        if reasons:
            self._say(f"without a verdict: {len(reasons)} questions; the first: {reasons[0][:_SHOWN]}")
        return [_points(verdicts.get(number)) for number in range(len(pairs))]


def _name(reach: "Reach", wanted: str) -> str:
    reach.check(wanted)
    return reach.find(wanted) or wanted


def _match(number: int, pair: Pair, judge: str, prompts: "JudgePrompts") -> "Match":
    from fastchat.llm_judge.matches import Match
    from fastchat.llm_judge.records import Answer, Choice, Question

    def answer(model: str, text: str) -> Answer:
        return Answer(question_id=number, answer_id="", model_id=model, choices=(Choice(turns=(text,)),), tstamp=0)

    question = Question(question_id=number, turns=(str(pair.question.messages[-1]["content"]),))
    answers = (answer(_TUNED, pair.tuned), answer(_BASE, pair.base))
    return Match(question, answers, judge, prompts.pairwise(1, with_reference=False))


def _points(verdict: "Verdict | Failure | None") -> float | None:
    """Of two games, one in each order, the mean."""
    from fastchat.llm_judge.records import PairVerdict, Winner

    if not isinstance(verdict, PairVerdict):
        return None
    points = {Winner.MODEL_1: 1.0, Winner.MODEL_2: 0.0, Winner.TIE: 0.5}
    return (points[Winner(verdict.g1_winner)] + points[Winner(verdict.g2_winner)]) / 2
