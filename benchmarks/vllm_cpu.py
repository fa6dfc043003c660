"""What vLLM gives through our gateway, beside the same vLLM asked directly. It is the build for CPUs, launched by
`fastchat vllm`, so nothing but the hop differs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from benchmarks.load import Outcome, Plan, run_load
from benchmarks.results import Aim, Findings, Table, interleaved, median_of, median_ratio
from benchmarks.servers import ROOT, Server, Servers, fastchat

TITLE = "vLLM on a CPU: through the gateway and alone"
PYTHON = os.environ.get("FASTCHAT_VLLM_PYTHON") or str(ROOT / ".cache" / "vllm" / "bin" / "python")
ALONE, SERVED = "vLLM alone", "through the gateway"
_MODEL = "builtin"
_START_S = 900.0
_ENVIRON = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
_FLAGS = ("--python", PYTHON, "--dtype", "bfloat16", "--enforce-eager", "--context-length", "2048")
_QUESTIONS = [f"Tell me what happened in the year {year}." for year in range(1800, 1928)]


@dataclass(frozen=True, slots=True)
class Extent:
    levels: Mapping[int, tuple[int, int]]  # callers → requests of each, tokens of each answer
    rounds: int


FULL = Extent({1: (2, 64), 8: (1, 64), 32: (1, 48)}, rounds=5)
QUICK = Extent({1: (1, 8), 8: (1, 8)}, rounds=1)

LevelsT: TypeAlias = Mapping[int, Mapping[str, Sequence[Outcome]]]


def run(*, is_quick: bool) -> Findings:
    if not os.path.exists(PYTHON):
        print("  vLLM is not installed and will be missing: scripts/vllm-cpu-env")
        return Findings(tables=(), aims=(_aim({}),))
    extent = QUICK if is_quick else FULL
    with Servers() as servers:
        vllm, gateway = _bring_up(servers)
        _level(vllm, gateway, 2, QUICK.levels[1], rounds=1)  # what is done once is done now
        levels: LevelsT = {
            callers: _level(vllm, gateway, callers, extent.levels[callers], extent.rounds) for callers in extent.levels
        }
    return Findings(tables=(_table(levels),), aims=(_aim(levels),))


def _bring_up(servers: Servers) -> tuple[Server, Server]:
    controller = servers.start("controller", fastchat("controller"), ready="/health")
    register = ("--controller-address", controller.url)
    command = fastchat("vllm", "--model-names", _MODEL, *_FLAGS, *register)
    vllm = servers.start("vllm", command, ready=None, env=_ENVIRON)
    vllm.wait_ready("/health", limit_s=_START_S, poll_s=1.0)
    return vllm, servers.start("gateway", fastchat("api", *register), ready="/ready")


def _level(
    vllm: Server, gateway: Server, callers: int, extent: tuple[int, int], rounds: int
) -> Mapping[str, Sequence[Outcome]]:
    requests_each, tokens = extent

    def ask(name: str) -> Outcome:
        outcome = run_load(
            Plan(
                f"{(gateway if name == SERVED else vllm).url}/v1/chat/completions",
                [_body(question, tokens) for question in _QUESTIONS],
                callers,
                requests_each=requests_each,
                pids={"vllm": vllm.pids, "gateway": gateway.pids},
            )
        )
        assert outcome.counted_tokens == callers * requests_each * tokens, "an answer was cut short"
        return outcome

    return dict(interleaved((ALONE, SERVED), rounds, ask))


def _body(question: str, tokens: int) -> dict[str, object]:
    asked: dict[str, object] = {"model": _MODEL, "messages": [{"role": "user", "content": question}]}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    return {**asked, **streamed, "max_tokens": tokens, "temperature": 1, "ignore_eos": True}


def _rate(outcome: Outcome) -> float:
    return outcome.counted_tokens / outcome.wall_s


def _per_cpu_s(outcome: Outcome) -> float:
    return outcome.counted_tokens / sum(outcome.cpu_s.values())


def _table(levels: LevelsT) -> Table:
    rows = [
        (
            callers,
            name,
            median_of(outcomes, _rate),
            median_ratio(outcomes, ways[ALONE], _rate),
            median_of(outcomes, _per_cpu_s),
            median_ratio(outcomes, ways[ALONE], _per_cpu_s),
            median_of(outcomes, lambda outcome: outcome.first_token.p50),
            median_of(outcomes, lambda outcome: outcome.cpu_s["gateway"] / outcome.counted_tokens * 1e6),
        )
        for callers, ways in levels.items()
        for name, outcomes in ways.items()
    ]
    return Table(
        title="Tokens a second of the built-in model on vLLM",
        note="bfloat16, one thread, no compilation (`--enforce-eager`); streams. Both ways ask one server, in turns. "
        "CPU time is that of all its processes, of the one that watches it and of the gateway, idle or not.",
        columns=(
            *("callers", "way", "tokens/s", "of vLLM alone", "tokens a CPU second", "of vLLM alone"),
            *("first token p50 ms", "CPU µs of the gateway a token"),
        ),
        rows=tuple(rows),
    )


def _aim(levels: LevelsT) -> Aim:
    shares = [median_ratio(ways[SERVED], ways[ALONE], _rate) for ways in levels.values()]
    text = "vLLM: tokens/s through the gateway, of vLLM alone, worst level"
    return Aim(key="vllm_throughput", text=text, at_least=0.95, measured=min(shares, default=None))
