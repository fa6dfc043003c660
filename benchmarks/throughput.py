"""Tokens a second through gateway and worker, against the same engine with nothing around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from benchmarks.engine_alone import EngineAlone, Job, Result
from benchmarks.load import Plan, run_load
from benchmarks.results import Aim, Table, interleaved, median_of, median_ratio
from benchmarks.servers import Servers
from benchmarks.systems import bring_up
from fastchat.model import builtin

SLOTS, CONTEXT = 8, 1024
ALONE, SERVED = "engine alone", "gateway and worker"
_QUESTIONS = [f"Tell me what happened in the year {year}." for year in range(1800, 1928)]


@dataclass(frozen=True, slots=True)
class Extent:
    levels: Mapping[int, tuple[int, int]]  # callers → requests of each, tokens of each answer
    rounds: int


FULL = Extent({1: (2, 128), 8: (1, 64), 32: (1, 24), 128: (1, 8)}, rounds=3)
QUICK = Extent({1: (1, 8), 8: (1, 8)}, rounds=1)

LevelsT: TypeAlias = Mapping[int, Mapping[str, Sequence[Result]]]


def measure(*, is_quick: bool) -> tuple[Table, Aim]:
    extent = QUICK if is_quick else FULL
    model = str(builtin.ensure())
    with Servers() as servers, EngineAlone(model, slots=SLOTS, context_length=CONTEXT) as engine:
        served = _Served(servers, model)
        levels: LevelsT = {callers: _level(engine, served, callers, extent) for callers in extent.levels}
    return _table(levels), _aim(levels)


class _Served:
    """Controller, worker and gateway, over the same model file and with the same settings."""

    def __init__(self, servers: Servers, model: str) -> None:
        flags = ["--model-path", model, "--model-names", "model"]
        flags += ["--limit-worker-concurrency", str(SLOTS), "--context-length", str(CONTEXT)]
        self._system = bring_up(servers, [flags])

    def run(self, job: Job) -> Result:
        plan = Plan(
            self._system.chat_url,
            [_body(question, job.tokens) for question in job.questions],
            job.concurrency,
            requests_each=job.requests_each,
            pids={"served": self._system.pids},
        )
        outcome = run_load(plan)
        return Result(outcome.counted_tokens, outcome.wall_s, outcome.cpu_s["served"])


def _body(question: str, tokens: int) -> dict[str, object]:
    asked: dict[str, object] = {"model": "model", "messages": [{"role": "user", "content": question}]}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    return {**asked, **streamed, "max_tokens": tokens, "temperature": 1, "ignore_eos": True}


def _level(engine: EngineAlone, served: _Served, callers: int, extent: Extent) -> Mapping[str, Sequence[Result]]:
    requests_each, tokens = extent.levels[callers]
    job = Job(_QUESTIONS, callers, requests_each, tokens)
    ways = {ALONE: engine.run, SERVED: served.run}
    measured = dict(interleaved(ways, extent.rounds, lambda name: ways[name](job)))
    for results in measured.values():
        assert all(result.tokens == callers * requests_each * tokens for result in results), "an answer was cut short"
    return measured


def _rate(result: Result) -> float:
    return result.tokens / result.wall_s


def _per_cpu_s(result: Result) -> float:
    return result.tokens / result.cpu_s


def _table(levels: LevelsT) -> Table:
    rows = [
        (
            callers,
            name,
            median_of(results, _rate),
            median_ratio(results, ways[ALONE], _rate),
            median_of(results, _per_cpu_s),
            median_ratio(results, ways[ALONE], _per_cpu_s),
        )
        for callers, ways in levels.items()
        for name, results in ways.items()
    ]
    return Table(
        title="Tokens a second of the built-in model",
        note=f"llama.cpp with {SLOTS} slots; the engine alone is the same Python object, called in its own process. "
        "CPU time is that of the engine's process, and of worker and gateway; the callers share the cores with them.",
        columns=("callers", "way", "tokens/s", "of the engine alone", "tokens a CPU second", "of the engine alone"),
        rows=tuple(rows),
    )


def _aim(levels: LevelsT) -> Aim:
    share = min(median_ratio(ways[SERVED], ways[ALONE], _rate) for ways in levels.values())
    text = "Serving: tokens/s through gateway and worker, of the engine alone, worst level"
    return Aim(key="serving_throughput", text=text, at_least=0.95, measured=share)
