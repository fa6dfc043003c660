"""What do answers cost when many are written at once, and what does a verdict cost beside the judge's own time?"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.judge_runner import PARALLEL
from benchmarks.results import Aim, Findings, Table, interleaved, median_of, median_ratio
from benchmarks.servers import PORT, ROOT, Servers
from fastchat.llm_judge.answering import Manner
from fastchat.llm_judge.asking import Call, Reply
from fastchat.llm_judge.evaluation import get_answers, missing_answers
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.places import Parallel
from fastchat.llm_judge.questions import read_questions
from fastchat.llm_judge.records import Question
from fastchat.llm_judge.settings import Reach, ReachSettings
from fastchat.model import builtin

TITLE = "Judge: answers a second, and what the runner costs"
LLAMACPP, HF = "llamacpp", "hf"
ONE_BY_ONE, TOGETHER = 1, 16  # at a time; 16 is what `fastchat bench` does
FUNCTION, ENDPOINT = "a function", "an endpoint on loopback"
FLAT = 1.25  # 1 would be: nothing at all is kept of a verdict; the sorting keeps its key


@dataclass(frozen=True, slots=True)
class Way:
    engine: str
    parallel: int


@dataclass(frozen=True, slots=True)
class Answered:
    answers: int
    tokens: int
    wall_s: float

    @property
    def per_s(self) -> float:
        return self.answers / self.wall_s

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.wall_s


@dataclass(frozen=True, slots=True)
class Load:
    judge: str
    verdicts: int


@dataclass(frozen=True, slots=True)
class Judging:
    """What `judge_runner` prints."""

    per_s: float
    cpu_us: float
    before_mb: float
    peak_mb: float


def run(*, is_quick: bool) -> Findings:
    rounds = 1 if is_quick else 3
    few, many = (500, 1000) if is_quick else (5_000, 20_000)
    questions = read_questions("fastchat_bench").questions
    chosen = questions[::20] if is_quick else questions[::10]
    answered = asyncio.run(_answers(chosen, tokens=8 if is_quick else 48, rounds=rounds))
    with Servers() as servers:
        command = [sys.executable, "-m", "benchmarks.judge_endpoint", PORT]
        urls = {FUNCTION: None, ENDPOINT: servers.start("endpoint", command, ready="/v1/models").url}
        loads = [Load(FUNCTION, few), Load(FUNCTION, many), Load(ENDPOINT, few)]
        judged = dict(interleaved(loads, rounds, lambda load: _judging(load, urls[load.judge])))
    return Findings(tables=(_answer_table(answered, len(chosen)), _judge_table(judged)), aims=_aims(judged, few, many))


async def _answers(questions: Sequence[Question], *, tokens: int, rounds: int) -> Mapping[Way, Sequence[Answered]]:
    """The models are loaded once, and have answered something before."""
    places = {LLAMACPP: builtin.ensure(), HF: builtin.ensure_safetensors()}
    found: dict[Way, list[Answered]] = {Way(name, at): [] for name in places for at in (ONE_BY_ONE, TOGETHER)}
    async with AsyncExitStack() as opened:
        reaches = {}
        for engine, place in places.items():
            settings = ReachSettings(model_path=str(place), model_id="model", engine=engine)
            reaches[engine] = await opened.enter_async_context(settings.open_reach(["model"]))
            await reaches[engine].local.load("model")
            await _answer_all(reaches[engine], _numbered(questions[:1], "first"), tokens, 1)
        for number in range(rounds):
            for way, values in found.items():
                asked = _numbered(questions, f"{number}, {way.parallel}")
                values.append(await _answer_all(reaches[way.engine], asked, tokens, way.parallel))
    return found


def _numbered(questions: Sequence[Question], run: str) -> Sequence[Question]:
    """They begin otherwise in each run, so that none finds its beginning in an engine's memory."""
    return [each.model_copy(update={"turns": (f"({run}) {each.turns[0]}", *each.turns[1:])}) for each in questions]


async def _answer_all(reach: Reach, questions: Sequence[Question], tokens: int, parallel: int) -> Answered:
    used = 0

    async def ask(call: Call) -> Reply:
        nonlocal used
        reply = await reach.ask(call)
        used += reply.completion_tokens or 0
        return reply

    with TemporaryDirectory(prefix="judge-") as root:
        folder = BenchFolder(Path(root))
        jobs = missing_answers(folder, ["model"], questions)
        began = time.perf_counter()
        manner = Manner(max_tokens=tokens)
        tally = await get_answers(folder, jobs, ask, manner, parallel=Parallel(parallel), tell=lambda _: None)
        wall_s = time.perf_counter() - began
    assert tally.done == len(questions), "an answer failed"
    return Answered(tally.done, used, wall_s)


def _judging(load: Load, url: str | None) -> Judging:
    command = [sys.executable, "-m", "benchmarks.judge_runner", str(load.verdicts), *([url] if url else [])]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return Judging(**json.loads(ended.stdout))


def _answer_table(answered: Mapping[Way, Sequence[Answered]], questions: int) -> Table:
    rows = tuple(
        (
            way.engine,
            way.parallel,
            median_of(values, lambda value: value.per_s),
            median_of(values, lambda value: value.tokens_per_s),
            median_ratio(values, answered[Way(way.engine, ONE_BY_ONE)], lambda value: value.per_s),
        )
        for way, values in answered.items()
    )
    return Table(
        title="Answers of the built-in model",
        note=f"{questions} of our questions with all their turns, into FastChat's files. The model is in memory: "
        "for llama.cpp in 4 bits, for transformers in 16. Every run begins its questions otherwise, so that none finds "
        "them in an engine's memory.",
        columns=("engine", "questions at a time", "answers/s", "tokens/s", "x one by one"),
        rows=rows,
    )


def _judge_table(judged: Mapping[Load, Sequence[Judging]]) -> Table:
    rows = tuple(
        (
            load.judge,
            load.verdicts,
            median_of(values, lambda value: value.per_s),
            median_of(values, lambda value: value.cpu_us),
            median_of(values, lambda value: value.before_mb),
            median_of(values, lambda value: value.peak_mb),
        )
        for load, values in judged.items()
    )
    return Table(
        title="Verdicts of a judge that answers at once",
        note=f"{PARALLEL} at a time on our questions, with prices, retries, cache and files as in a run. CPU and "
        "memory are those of the run's process: memory before the first verdict, when the same questions and answers "
        "are read for all, and its peak, the sorting of the file at the end included.",
        columns=("the judge is", "verdicts", "verdicts/s", "CPU µs a verdict", "before, MB", "peak, MB"),
        rows=rows,
    )


def _aims(judged: Mapping[Load, Sequence[Judging]], few: int, many: int) -> tuple[Aim, ...]:
    short, long = judged[Load(FUNCTION, few)], judged[Load(FUNCTION, many)]
    return (
        Aim(
            key="judge_rate",
            text=f"Judge: verdicts of a judge that answers at once, {PARALLEL} at a time",
            unit="/s",
            at_least=2000,
            measured=median_of(short, lambda value: value.per_s),
        ),
        Aim(
            key="judge_memory",
            text=f"Judge: peak memory of {many:,} verdicts over that of {few:,}",
            unit="x",
            at_most=FLAT,
            measured=median_ratio(long, short, lambda value: value.peak_mb),
        ),
    )
