"""What each process takes: time to start, memory; and the time of `fastchat --help`."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median

import psutil

from benchmarks.clocks import cpu_s
from benchmarks.contenders import body
from benchmarks.load import Plan, run_load
from benchmarks.results import Aim, Findings, Table, interleaved, median_of
from benchmarks.servers import ROOT, Server, Servers, fastchat
from benchmarks.systems import System, bring_up, scripted
from fastchat.model import builtin

TITLE = "Footprint: start and memory"
CONTROLLER, GATEWAY, WORKER = "controller", "gateway (`fastchat api`)", "worker, scripted engine"
_FLAGS = scripted({"reply": "word" * 16, "tokens": 16}, slots=1024)


@dataclass(frozen=True, slots=True)
class Kind:
    """A process to start; `ready` is the path that answers once it is of use."""

    name: str
    command: Sequence[str]
    ready: str = "/health"


@dataclass(frozen=True, slots=True)
class Start:
    wall_s: float
    cpu_s: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Work:
    """What the processes did before their memory is read again."""

    requests: int
    streams: int  # at a time


def run(*, is_quick: bool) -> Findings:
    rounds = 1 if is_quick else 5
    with Servers() as servers:
        system = bring_up(servers, [_FLAGS])
        work = Work(200, 50) if is_quick else Work(10_000, 500)
        _do(work, system)
        after = {CONTROLLER: system.controller, GATEWAY: system.gateway, WORKER: system.workers[0]}
        memory = {name: _rss_mb(server) for name, server in after.items()}
        starts = interleaved(_kinds(system), rounds, lambda kind: _start(servers, kind))
    helps = [_help_cpu_s() for _ in range(rounds)]
    return Findings(tables=(_table(starts, memory, work),), aims=_aims(starts, median(helps)))


def _kinds(system: System) -> list[Kind]:
    register = ("--controller-address", system.controller.url)
    kinds = [
        Kind(CONTROLLER, fastchat("controller")),
        Kind(GATEWAY, fastchat("api", *register), ready="/ready"),
        Kind(WORKER, fastchat("worker", *_FLAGS, *register)),
    ]
    if find_spec("xllamacpp"):
        builtin.ensure()  # fetching it is not part of a start
        command = fastchat("worker", "--model-path", "builtin", *register)
        kinds.append(Kind("worker, llama.cpp with the built-in model", command))
    if find_spec("gradio"):
        kinds.append(Kind("web page", fastchat("web", "--api-url", system.gateway.url), ready="/"))
    return kinds


def _do(work: Work, system: System) -> None:
    run_load(Plan(system.chat_url, [body()], 50, requests_each=work.requests // 50))
    stream = body(tokens=20, token_ms=50, stream=True)
    run_load(Plan(system.chat_url, [stream], work.streams, requests_each=2))


def _start(servers: Servers, kind: Kind) -> Start:
    server = servers.start("measured", kind.command, ready=None)
    wall_s = server.wait_ready(kind.ready, poll_s=0.01)
    start = Start(wall_s, cpu_s(server.pids), _rss_mb(server))
    servers.stop(server)
    return start


def _rss_mb(server: Server) -> float:
    return sum(psutil.Process(pid).memory_info().rss for pid in server.pids) / 1e6


def _help_cpu_s() -> float:
    child = subprocess.Popen([sys.executable, "-m", "fastchat", "--help"], stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"fastchat --help ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def _table(starts: Sequence[tuple[Kind, Sequence[Start]]], after: Mapping[str, float], work: Work) -> Table:
    rows = [
        (
            kind.name,
            median_of(values, lambda start: start.wall_s),
            median_of(values, lambda start: start.cpu_s),
            median_of(values, lambda start: start.rss_mb),
            after.get(kind.name),
        )
        for kind, values in starts
    ]
    return Table(
        title="Each process",
        note="Until it answers: the gateway when it knows a model, the web page with its page, the others `/health`. "
        f"Memory is what is resident then, and after {work.requests:,} requests and {2 * work.streams:,} streams, "
        f"{work.streams} at a time.",
        columns=("process", "start, wall s", "start, CPU s", "memory MB", "memory after work MB"),
        rows=tuple(rows),
    )


def _aims(starts: Sequence[tuple[Kind, Sequence[Start]]], help_cpu_s: float) -> tuple[Aim, ...]:
    rss = {kind.name: median_of(values, lambda start: start.rss_mb) for kind, values in starts}
    return (
        Aim(key="controller_memory", text="Controller: memory", unit="MB", at_most=60, measured=rss[CONTROLLER]),
        Aim(key="gateway_memory", text="Gateway alone: memory", unit="MB", at_most=80, measured=rss[GATEWAY]),
        Aim(key="help", text="`fastchat --help`: CPU time", unit="s", at_most=0.3, measured=help_cpu_s),
    )
