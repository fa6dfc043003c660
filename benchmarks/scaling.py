"""More workers, more tokens: how near to linear, with workers whose engine is slower than everything around it."""

from collections.abc import Mapping, Sequence

from benchmarks.load import Outcome, Plan, run_load
from benchmarks.results import Aim, Table, interleaved, median_of, median_ratio
from benchmarks.servers import Servers
from benchmarks.systems import bring_up, scripted

SLOTS, TOKEN_MS, TOKENS = 8, 20.0, 50  # 400 tokens a second at most from each worker, a second for an answer


def measure(*, is_quick: bool) -> tuple[Table, Aim]:
    counts = (1, 2) if is_quick else (1, 2, 4, 8)
    rounds, window_s = (1, 1.0) if is_quick else (2, 3.0)
    with Servers() as servers:
        system = bring_up(servers, [_worker(number, counts) for number in range(max(counts))])
        pids = {"all": system.pids}

        def run(count: int) -> Outcome:
            # Exactly as many as there are slots: one request sent to the wrong worker leaves a slot empty.
            callers = count * SLOTS
            return run_load(
                Plan(system.chat_url, _bodies(count), callers, window_s=window_s, ramp_s=1, settle_s=1, pids=pids)
            )

        measured = dict(interleaved(counts, rounds, run))
    return _table(measured), _aim(measured)


def _worker(number: int, counts: Sequence[int]) -> list[str]:
    """Each system is the name of a model: worker 0 belongs to those of one, two, four … workers, worker 1 to those of
    two, four …"""
    names = ",".join(f"of-{count}" for count in counts if number < count)
    return scripted({"reply": "word", "tokens": TOKENS, "token_ms": TOKEN_MS}, slots=SLOTS, names=names)


def _bodies(count: int) -> list[dict[str, object]]:
    """A conversation of its own for every caller."""
    return [
        {
            "model": f"of-{count}",
            "messages": [{"role": "user", "content": f"I am caller number {number}."}],
            "stream": True,
        }
        for number in range(count * SLOTS)
    ]


def _rate(outcome: Outcome) -> float:
    return outcome.tokens / outcome.wall_s


def _table(measured: Mapping[int, Sequence[Outcome]]) -> Table:
    rows = [
        (
            count,
            count * SLOTS,
            median_of(outcomes, _rate),
            median_ratio(outcomes, measured[1], _rate) / count,
            median_of(outcomes, _rate) / (count * SLOTS * 1000 / TOKEN_MS),
            median_of(outcomes, lambda outcome: outcome.cpu_s["all"] / outcome.wall_s),
        )
        for count, outcomes in measured.items()
    ]
    return Table(
        title="More workers",
        note=f"Scripted workers with {SLOTS} slots and {TOKEN_MS:g} ms a token, one caller for every slot.",
        columns=("workers", "callers", "tokens/s", "of linear", "of what the engines can", "cores used"),
        rows=tuple(rows),
    )


def _aim(measured: Mapping[int, Sequence[Outcome]]) -> Aim:
    shares = [median_ratio(outcomes, measured[1], _rate) / count for count, outcomes in measured.items() if count > 1]
    text = f"Serving: tokens/s of up to {max(measured)} workers, of linear, worst level"
    return Aim(key="serving_scaling", text=text, at_least=0.95, measured=min(shares))
