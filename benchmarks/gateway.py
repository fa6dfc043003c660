"""What the hop through the gateway costs, beside the worker alone, a bare pipe, FastChat 0.2.36 and LiteLLM.

The worker is scripted, so nothing but the hop differs. What is counted is the CPU time of the processes that a
request goes through before the worker (of FastChat that includes its controller, which it asks for every request).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from benchmarks.contenders import GATEWAY, OLD_FASTCHAT, PIPE, WORKER, Contender, body, bring_up_all
from benchmarks.load import LoadFailed, Outcome, Plan, run_load
from benchmarks.results import Aim, Findings, Table, interleaved, median_difference, median_of, median_ratio
from benchmarks.servers import Servers

TITLE = "Gateway: what the hop costs"
_ENDLESS = 100_000  # tokens: no window is that long


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    clients: Sequence[int]
    request_rounds: int
    request_s: float
    streams: Mapping[int, float]  # how many → milliseconds between two tokens of each
    stream_rounds: int
    stream_s: float
    lengths: tuple[int, int]  # tokens
    length_rounds: int


# At every level but one stream 1,000 tokens a second in all: enough to measure, and no contender at its limit.
FULL = Extent((1, 16, 64), 4, 0.8, {1: 5.0, 50: 50.0, 200: 200.0, 500: 500.0}, 2, 2.5, (100, 2000), 2)
QUICK = Extent((1, 16), 1, 0.25, {20: 40.0}, 1, 0.5, (10, 100), 1)


@dataclass(frozen=True, slots=True)
class Lengthening:
    """CPU µs a token in short and in long streams, the cost of the request itself taken off."""

    short: float
    long: float


RoundsT: TypeAlias = Mapping[str, Sequence[Outcome]]  # contender → an outcome a round
LevelsT: TypeAlias = Mapping[int, RoundsT]  # clients or streams → what happened


def run(*, is_quick: bool) -> Findings:
    extent = QUICK if is_quick else FULL
    with Servers() as servers:
        contenders = bring_up_all(servers)
        requests = {clients: _requests(contenders, clients, extent) for clients in extent.clients}
        streams = {number: _streams(contenders, number, extent) for number in extent.streams}
        lengths = _lengths(contenders, extent)
    tables = (_request_table(requests), _stream_table(streams), _length_table(lengths, extent))
    return Findings(tables=tables, aims=(*_request_aims(requests), *_stream_aims(streams), _length_aim(lengths)))


def _plan(contender: Contender, connections: int, request: Mapping[str, object], **how: float | int) -> Plan:
    url = f"{contender.url}/v1/chat/completions"
    return Plan(url, [request], connections, pids={"cost": contender.pids}, **how)  # type: ignore[arg-type]


def _rounds(contenders: Sequence[Contender], rounds: int, measure: Callable[[Contender], Outcome]) -> RoundsT:
    def attempt(contender: Contender) -> Outcome | None:
        try:
            return measure(contender)
        except LoadFailed as error:
            if contender.name in (WORKER, PIPE, GATEWAY):
                raise
            print(f"  left out here: {contender.name}: {error}")
            return None

    measured = interleaved(contenders, rounds, attempt)
    answered = {contender.name: [outcome for outcome in outcomes if outcome] for contender, outcomes in measured}
    return {name: outcomes for name, outcomes in answered.items() if len(outcomes) == rounds}


def _requests(contenders: Sequence[Contender], clients: int, extent: Extent) -> RoundsT:
    def measure(contender: Contender) -> Outcome:
        return run_load(_plan(contender, clients, body(), window_s=extent.request_s))

    return _rounds(contenders, extent.request_rounds, measure)


def _streams(contenders: Sequence[Contender], number: int, extent: Extent) -> RoundsT:
    pace = extent.streams[number]
    request = body(tokens=_ENDLESS, token_ms=pace, stream=True)

    def measure(contender: Contender) -> Outcome:
        # No faster than it can take them: what is measured is streams that run, not a burst of requests.
        how = {"ramp_s": number / contender.starts_per_s, "window_s": extent.stream_s, "token_ms": pace}
        return run_load(_plan(contender, number, request, **how))

    return _rounds(contenders, extent.stream_rounds, measure)


def _lengths(contenders: Sequence[Contender], extent: Extent) -> Mapping[str, Sequence[Lengthening]]:
    chosen = [contender for contender in contenders if contender.name in (PIPE, GATEWAY, OLD_FASTCHAT)]
    measured = interleaved(chosen, extent.length_rounds, lambda contender: _lengthening(contender, extent))
    return {contender.name: values for contender, values in measured}


def _lengthening(contender: Contender, extent: Extent) -> Lengthening:
    streams = 4
    short, long = extent.lengths

    def cost(tokens: int, requests_each: int) -> float:
        """CPU µs a stream of this length. With a token a millisecond nothing is gathered on the way."""
        request = body(tokens=tokens, token_ms=streams, stream=True)
        return _us_per_request(run_load(_plan(contender, streams, request, requests_each=requests_each)))

    fixed = cost(1, requests_each=long // 20)
    each = max(1, long // short // 4)
    return Lengthening((cost(short, each) - fixed) / (short - 1), (cost(long, 1) - fixed) / (long - 1))


def _us_per_request(outcome: Outcome) -> float:
    return outcome.cpu_s["cost"] / outcome.requests * 1e6


def _us_per_token(outcome: Outcome) -> float:
    return outcome.cpu_s["cost"] / outcome.tokens * 1e6


def _request_table(levels: LevelsT) -> Table:
    rows = []
    for clients, rounds in levels.items():
        for name, outcomes in rounds.items():
            cost, alone = median_of(outcomes, _us_per_request), rounds[WORKER]
            rows.append(
                (
                    clients,
                    name,
                    median_of(outcomes, lambda outcome: outcome.latency.p50),
                    *_added(outcomes, alone, lambda outcome: outcome.latency.p50),
                    *_added(outcomes, alone, lambda outcome: outcome.latency.p99),
                    median_of(outcomes, lambda outcome: outcome.requests / outcome.wall_s),
                    cost,
                    1e6 / cost,
                )
            )
    return Table(
        title="Requests that are not streamed",
        note="Each client asks again as soon as it was answered; an answer has 16 tokens. *Added* is the difference to "
        "the worker alone in the same round. Requests/s share the cores with worker and load generator; those of "
        f"a core are what the CPU time allows. {_generator_note(levels)}",
        columns=(
            *("clients", "way", "p50 ms", "added p50 ms", "added p99 ms"),
            *("requests/s", "CPU µs a request", "requests a core and second"),
        ),
        rows=tuple(rows),
    )


def _added(
    outcomes: Sequence[Outcome], alone: Sequence[Outcome], field: Callable[[Outcome], float]
) -> tuple[float | None]:
    return (None,) if outcomes is alone else (median_difference(outcomes, alone, field),)


def _stream_table(levels: LevelsT) -> Table:
    rows = []
    for number, rounds in levels.items():
        for name, outcomes in rounds.items():
            alone = rounds[WORKER]
            rows.append(
                (
                    number,
                    name,
                    median_of(outcomes, lambda outcome: outcome.tokens / outcome.wall_s),
                    median_of(outcomes, _us_per_token),
                    *_added(outcomes, alone, lambda outcome: outcome.lag.p50),
                    *_added(outcomes, alone, lambda outcome: outcome.lag.p99),
                )
            )
    return Table(
        title="Streams",
        note="The worker sends 1,000 tokens a second in all (200 to a single stream). Streams begin one after the "
        "other, up to 400 a second (FastChat 50, LiteLLM 30); whoever cannot begin them so fast stays late. *Added* is "
        f"how much later a token comes than from the worker alone, counted from the request. {_generator_note(levels)}",
        columns=("streams", "way", "tokens/s", "CPU µs a token", "added p50 ms", "added p99 ms"),
        rows=tuple(rows),
    )


def _generator_note(levels: LevelsT) -> str:
    outcomes = [outcome for rounds in levels.values() for each in rounds.values() for outcome in each]
    busiest = max(outcome.own_cpu_s / outcome.wall_s for outcome in outcomes)
    return f"The load generator used at most {busiest:.0%} of a core."


def _length_table(lengths: Mapping[str, Sequence[Lengthening]], extent: Extent) -> Table:
    short, long = extent.lengths
    rows = [
        (
            name,
            median(value.short for value in values),
            median(value.long for value in values),
            median(value.long / value.short for value in values),
        )
        for name, values in lengths.items()
    ]
    return Table(
        title="Does a token cost more in a long stream?",
        note="CPU µs a token, the cost of the request itself (a stream of one token) taken off.",
        columns=("way", f"streams of {short} tokens", f"streams of {long:,} tokens", "ratio"),
        rows=tuple(rows),
    )


def _request_aims(levels: LevelsT) -> tuple[Aim, ...]:
    added = median_difference(levels[1][GATEWAY], levels[1][WORKER], lambda outcome: outcome.latency.p50)
    per_core = min(1e6 / median_of(rounds[GATEWAY], _us_per_request) for rounds in levels.values())
    over_pipe = max(median_ratio(rounds[GATEWAY], rounds[PIPE], _us_per_request) for rounds in levels.values())
    return (
        Aim(key="gateway_added", text="Hop: added p50, one client", unit="ms", at_most=0.3, measured=added),
        Aim(key="gateway_rate", text="Hop: requests a core and second", at_least=1000, measured=per_core),
        Aim(key="gateway_request", text="Hop: CPU a request, times the bare pipe's", at_most=1.5, measured=over_pipe),
    )


def _stream_aims(levels: LevelsT) -> tuple[Aim, ...]:
    over_pipe = max(median_ratio(rounds[GATEWAY], rounds[PIPE], _us_per_token) for rounds in levels.values())
    fewer = [
        median_ratio(rounds[OLD_FASTCHAT], rounds[GATEWAY], _us_per_token)
        for rounds in levels.values()
        if OLD_FASTCHAT in rounds
    ]
    return (
        Aim(key="gateway_token", text="Hop: CPU a token, times the bare pipe's", at_most=1.5, measured=over_pipe),
        Aim(
            key="gateway_fastchat",
            text="Hop: CPU a token of FastChat 0.2.36, times ours",
            at_least=5,
            measured=min(fewer, default=None),
        ),
    )


def _length_aim(lengths: Mapping[str, Sequence[Lengthening]]) -> Aim:
    growth = median(value.long / value.short for value in lengths[GATEWAY])
    text = "Hop: CPU a token in a long stream, times that in a short one"
    return Aim(key="gateway_growth", text=text, at_most=1.1, measured=growth)
