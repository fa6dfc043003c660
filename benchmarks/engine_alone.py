"""An engine driven in its own process, with neither worker nor gateway around it: what serving is measured against.

Run as a process it loads the engine, then reads a `Job` a line and answers each with a `Result`.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

import psutil
import uvloop

from benchmarks.clocks import cpu_s
from benchmarks.servers import ROOT
from fastchat.engines.base import ChatPrompt, Engine, GenerationRequest, Sampling
from fastchat.engines.registry import EngineOptions, load_engine


@dataclass(frozen=True, slots=True)
class Job:
    """So many callers, each asking one after another."""

    questions: Sequence[str]
    concurrency: int
    requests_each: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Result:
    tokens: int
    wall_s: float
    cpu_s: float


class EngineAlone:
    """The process, from outside."""

    def __init__(
        self, model_path: str, *, slots: int, context_length: int, engine: str = "llamacpp", threads: int | None = None
    ) -> None:
        options: dict[str, object] = {"slots": slots, "context_length": context_length}
        options["engine_args"] = {"threads": threads} if threads else {}
        command = [sys.executable, "-m", "benchmarks.engine_alone", engine, model_path, json.dumps(options)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self._read()

    def run(self, job: Job) -> Result:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(asdict(job)) + "\n")
        self._child.stdin.flush()
        return Result(**json.loads(self._read()))

    def _read(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("the engine ended")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._child.terminate()
        self._child.communicate()


async def _serve(name: str, model_path: str, options: str) -> None:
    engine = await load_engine(name, EngineOptions(model_path, **json.loads(options)))
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(asdict(await _run(engine, Job(**json.loads(line))))), flush=True)


async def _run(engine: Engine, job: Job) -> Result:
    # Some engines compute in a process of their own.
    pids = [os.getpid(), *(child.pid for child in psutil.Process().children())]
    wall, cpu = time.perf_counter(), cpu_s(pids)
    callers = (_call(engine, job, number) for number in range(job.concurrency))
    tokens = sum(await asyncio.gather(*callers))
    return Result(tokens, time.perf_counter() - wall, cpu_s(pids) - cpu)


async def _call(engine: Engine, job: Job, caller: int) -> int:
    tokens = 0
    for number in range(job.requests_each):
        question = job.questions[(caller + number) % len(job.questions)]
        prompt = ChatPrompt([{"role": "user", "content": question}])
        sampling = Sampling(max_tokens=job.tokens, temperature=1, ignore_eos=True)
        async for delta in engine.generate(GenerationRequest(prompt, sampling)):
            tokens += delta.usage.completion_tokens if delta.usage else 0
    return tokens


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:]))
