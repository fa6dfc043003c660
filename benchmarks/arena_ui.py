"""How many battles one core shows at once: over the protocol of Gradio's pages, and over REST and server-sent events.

The models are a paced API in another process, so nothing but the page's own process is measured. It has a core to
itself; the API and the clients share the next one. The server is `fastchat web` as it comes, and started anew for
every case: what 200 pages have left behind would be counted against those that come after.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.battle_clients import BattlesFailed, Outcome, Plan, Way, run_battles
from benchmarks.paced_api import MODELS
from benchmarks.results import Aim, Cell, Findings, Table, interleaved, median_of
from benchmarks.servers import PORT, Server, Servers

TITLE = "Battles: what it costs to show them while they are written"
PAGE, API, NOBODY = "Gradio page", "REST and SSE", "nobody follows"
CROWD, CROWD_READERS = "REST and SSE, five readers each", 5
PANES, CHAT = "plain Gradio, two chatbots", "plain Gradio, ChatInterface"
_COMPOSER = "fc-battle-composer"
# One voter from one address asks for all.
_ARENAS = {"default": {"integrity": {"turns_per_minute": None, "votes_per_day": None}}}
_MEANINGS = """
*Waited for*: the share of the time in which the server could have run, but others had its core; where that is high,
only CPU times tell anything. *Beyond the writing*: without what the same battles cost while nobody follows, which is
to read the models and to gather and keep what they say. *Delivery*: from the moment a flush is put together until the
client has it. *Token*: from the writing of a token in the models' process until the client has it, the waiting for
the next flush included. *First token* counts from the question. *Ended*: battles that were over before the window
was. ChatInterface shows one side. A page keeps its heartbeat, and looks every 2 s whether models have changed.
"""
_WAYS: Mapping[str, Way] = {PAGE: "page", API: "api", CROWD: "api", NOBODY: "nobody", PANES: "page", CHAT: "page"}


@dataclass(frozen=True, slots=True)
class Extent:
    battles: Sequence[int]
    ways: Sequence[str]
    rounds: int
    window_s: float
    token_ms: float = 50.0


FULL = Extent((50, 100, 200), (NOBODY, API, CROWD, PAGE, PANES, CHAT), 2, 6.0)
QUICK = Extent((2,), (NOBODY, API, CROWD, PAGE, PANES, CHAT), 1, 1.0)


@dataclass(frozen=True, slots=True)
class Case:
    way: str
    battles: int


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of_seconds(cls, values: Sequence[float]) -> "Quantiles":
        ordered = sorted(values) or [float("nan")]
        return cls(*(1000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.95, 0.99)))


@dataclass(frozen=True, slots=True)
class Shown:
    """One case in one round."""

    core_share: float  # of one core, the server's
    waiting_share: float  # of the time, for that core, because others had it
    flushes_per_s: float
    kib_per_flush: float
    token: Quantiles  # from the API's writing until it came
    delivery: Quantiles  # from the moment the server put a flush together until it came
    first_token_ms: float  # median, from the question
    start_mib: float
    opened_kib: float  # memory a client that has opened the page, or begun a conversation
    client_kib: float  # and battles
    ended: int
    clients_share: float  # of the core the clients have
    api_share: float

    @property
    def us_per_flush(self) -> float:
        return 1e6 * self.core_share / self.flushes_per_s if self.flushes_per_s else float("nan")


def run(*, is_quick: bool) -> Findings:
    return measure(QUICK if is_quick else FULL)


def measure(extent: Extent) -> Findings:
    cases = [Case(way, battles) for battles in extent.battles for way in extent.ways]
    with Servers() as servers:
        bench = _Bench(servers, extent)
        measured = interleaved(cases, extent.rounds, bench.measure)
    shown = {case: [one for one in rounds if one] for case, rounds in measured}
    shown = {case: rounds for case, rounds in shown.items() if rounds}
    return Findings(tables=(_table(shown, extent), _session_table(shown)), aims=_aims(shown, extent))


class _Bench:
    def __init__(self, servers: Servers, extent: Extent) -> None:
        self._servers = servers
        self._extent = extent
        self._marks = servers.folder / "marks"
        self._arenas = servers.folder / "arenas.yaml"
        self._arenas.write_text(json.dumps(_ARENAS))

    def measure(self, case: Case) -> Shown | None:
        ramp_s = case.battles / 50
        # Long enough to be written until the window has closed, also where battles begin late.
        tokens = round((ramp_s + self._extent.window_s + 6) * 1000 / self._extent.token_ms)
        api = self._start_api(tokens)
        server = self._start(case.way, api)
        try:
            outcome = run_battles(
                Plan(
                    url=server.url,
                    way=_WAYS[case.way],
                    clients=case.battles,
                    ramp_s=ramp_s,
                    window_s=self._extent.window_s,
                    pids={"server": server.pids, "api": api.pids},
                    readers=CROWD_READERS if case.way == CROWD else 1,
                    composer=_COMPOSER if case.way == PAGE else "",
                )
            )
        except BattlesFailed as error:
            if case.way not in (PANES, CHAT):
                raise
            print(f"  left out here: {case}: {error}")
            return None
        finally:
            self._servers.stop(server)
            self._servers.stop(api)
        return _shown(case, outcome, _marks_of(self._marks, "api" if _WAYS[case.way] == "api" else "page"))

    def _start_api(self, tokens: int) -> Server:
        command = [sys.executable, "-m", "benchmarks.paced_api", PORT, str(tokens), str(self._extent.token_ms)]
        return self._servers.start("paced-api", command, ready="/v1/models")

    def _start(self, way: str, api: Server) -> Server:
        register = self._servers.folder / "register.json"
        register.write_text(json.dumps({name: _endpoint(name, api) for name in MODELS}))
        if way in (PANES, CHAT):
            kind = "panes" if way == PANES else "chat"
            module = ["-m", "benchmarks.peers.plain_gradio", kind, PORT, str(register), str(self._marks)]
            return self._servers.start(way, [sys.executable, *module], ready="/config")
        data = self._servers.folder / "data"
        data.mkdir(exist_ok=True)
        flags = ["--arena", "--controller", "", "--register", str(register), "--arenas", str(self._arenas)]
        command = [sys.executable, "-m", "benchmarks.flush_marks", str(self._marks), "web", *flags]
        env = {"FASTCHAT_DATA_DIR": str(data)}
        return self._servers.start("web", [*command, "--port", PORT], ready="/health", env=env)


def _endpoint(name: str, api: Server) -> Mapping[str, str]:
    return {"model_name": name, "api_type": "openai", "api_key": "", "api_base": f"{api.url}/v1"}


def _marks_of(file: Path, where: str) -> Mapping[str, float]:
    """Newest token of a flush → when it was put together."""
    lines = (line.split() for line in file.read_text().splitlines())
    return {stamp: float(moment) for place, stamp, moment in lines if place == where}


def _shown(case: Case, outcome: Outcome, marks: Mapping[str, float]) -> Shown:
    start, opened, end = outcome.memory["server"]
    flushes = len(outcome.flushes)
    return Shown(
        core_share=outcome.cpu_s["server"] / outcome.wall_s,
        waiting_share=outcome.waited_s["server"] / outcome.wall_s,
        flushes_per_s=flushes / outcome.wall_s,
        kib_per_flush=outcome.bytes / flushes / 1024 if flushes else float("nan"),
        token=Quantiles.of_seconds(outcome.latencies),
        delivery=Quantiles.of_seconds([came - marks[stamp] for stamp, came in outcome.flushes if stamp in marks]),
        first_token_ms=1000 * median(outcome.first_tokens) if outcome.first_tokens else float("nan"),
        start_mib=start / 2**20,
        opened_kib=(opened - start) / case.battles / 1024,
        client_kib=(end - start) / case.battles / 1024,
        ended=outcome.ended,
        clients_share=outcome.own_cpu_s / outcome.wall_s,
        api_share=outcome.cpu_s["api"] / outcome.wall_s,
    )


def _table(shown: Mapping[Case, Sequence[Shown]], extent: Extent) -> Table:
    def row(case: Case, rounds: Sequence[Shown]) -> tuple[Cell, ...]:
        return (
            case.battles,
            case.way,
            median_of(rounds, lambda one: one.flushes_per_s / case.battles),
            median_of(rounds, lambda one: one.core_share),
            median_of(rounds, lambda one: one.waiting_share),
            median_of(rounds, lambda one: one.us_per_flush),
            _us_beyond(shown, case),
            *(median_of(rounds, lambda one, q=q: getattr(one.delivery, q)) for q in ("p50", "p95", "p99")),
            *(median_of(rounds, lambda one, q=q: getattr(one.token, q)) for q in ("p50", "p95", "p99")),
            median_of(rounds, lambda one: one.first_token_ms),
            median_of(rounds, lambda one: one.kib_per_flush),
            median_of(rounds, lambda one: one.ended),
        )

    busiest = max(one.clients_share + one.api_share for rounds in shown.values() for one in rounds)
    return Table(
        title="While they are written",
        note=f"Both sides of a battle get {1000 / extent.token_ms:g} tokens a second; a flush brings what is new of "
        f"both. {' '.join(_MEANINGS.split())} Clients and models used at most {busiest:.0%} of their core.",
        columns=(
            *("battles", "way", "flushes/s each", "cores used", "waited for", "CPU µs a flush", "beyond the writing"),
            *(
                "delivery p50 ms",
                "p95 ms",
                "p99 ms",
                "token p50 ms",
                "p95 ms",
                "p99 ms",
                "first token ms",
                "KiB a flush",
                "ended",
            ),
        ),
        rows=tuple(row(case, rounds) for case, rounds in shown.items()),
    )


def _us_beyond(shown: Mapping[Case, Sequence[Shown]], case: Case) -> float | None:
    """CPU µs a flush beyond the writing. Plain Gradio keeps nothing, so nobody knows its share."""
    alone = shown.get(Case(NOBODY, case.battles))
    if case.way not in (PAGE, API, CROWD) or case not in shown or not alone:
        return None
    pairs = zip(shown[case], alone, strict=False)
    return median(1e6 * (one.core_share - base.core_share) / one.flushes_per_s for one, base in pairs)


def _session_table(shown: Mapping[Case, Sequence[Shown]]) -> Table:
    return Table(
        title="Memory",
        note="Resident, of the server's process; a client is *there* once it opened the page or began a conversation.",
        columns=("battles", "way", "MiB at the start", "KiB a client that is there", "that battles"),
        rows=tuple(
            (
                case.battles,
                case.way,
                median_of(rounds, lambda one: one.start_mib),
                median_of(rounds, lambda one: one.opened_kib),
                median_of(rounds, lambda one: one.client_kib),
            )
            for case, rounds in shown.items()
        ),
    )


def _aims(shown: Mapping[Case, Sequence[Shown]], extent: Extent) -> tuple[Aim, ...]:
    most = max(extent.battles)
    page = shown.get(Case(PAGE, most), ())
    costs = [_us_beyond(shown, Case(way, most)) for way in (PAGE, CROWD)]
    fewer = costs[0] / costs[1] if costs[0] and costs[1] and costs[1] > 0 else None
    return (
        Aim(
            key="arena_ui_delivery",
            text=f"{most} battles on one core: p95 of the delivery of a flush by Gradio",
            unit="ms",
            at_most=100,
            measured=median_of(page, lambda one: one.delivery.p95) if page else None,
        ),
        Aim(
            key="arena_ui_rate",
            text=f"{most} battles on one core: flushes a second each by Gradio",
            at_least=4.5,  # 200 ms lie between the end of one and the next
            measured=median_of(page, lambda one: one.flushes_per_s / most) if page else None,
        ),
        Aim(
            key="arena_ui_api",
            text=f"{most} battles: CPU of a flush beyond the writing, Gradio's times that of REST and SSE",
            # With five readers: what one costs is less than what two runs of the same differ by.
            at_least=10,
            measured=fewer,
        ),
    )
