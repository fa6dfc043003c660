import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.contenders import body
from benchmarks.load import Plan, run_load
from benchmarks.results import Aim, Findings, Machine, Record, Table, interleaved
from benchmarks.servers import ROOT, Servers
from benchmarks.systems import bring_up, scripted


def test_the_load_generator_counts_what_a_gateway_answers() -> None:
    with Servers() as servers:
        system = bring_up(servers, [scripted({"reply": "word"}, slots=8)])
        pids = {"gateway": system.gateway.pids}
        whole = run_load(Plan(system.chat_url, [body(tokens=10)], 2, requests_each=5, pids=pids))
        streams = [body(tokens=20, token_ms=5, stream=True)]
        streamed = run_load(Plan(system.chat_url, streams, 4, requests_each=2, token_ms=5, pids=pids))
        endless = [body(tokens=10_000, token_ms=10, stream=True)]
        window = run_load(Plan(system.chat_url, endless, 4, window_s=0.5, token_ms=10, pids=pids))
    assert (whole.requests, whole.failures, whole.counted_tokens) == (10, 0, 100)
    assert (streamed.requests, streamed.tokens, streamed.lag.count) == (8, 160, 160)
    assert streamed.first_token.count == 8
    assert streamed.latency.p50 >= 19 * 5
    assert window.requests == 0
    assert 100 < window.tokens < 300  # 200 on a machine with time for them
    assert all(0 < outcome.cpu_s["gateway"] < 5 for outcome in (whole, streamed, window))


def test_a_server_that_does_not_start_says_why() -> None:
    with Servers() as servers, pytest.raises(RuntimeError, match="no-such-flag"):
        servers.start("broken", [sys.executable, "-m", "fastchat", "controller", "--no-such-flag"], ready="/health")


def test_contenders_take_turns() -> None:
    order: list[str] = []
    measured = interleaved("ab", 2, lambda name: order.append(name) or len(order))
    assert order == ["a", "b", "a", "b"]
    assert measured == [("a", [1, 3]), ("b", [2, 4])]


def test_the_report_shows_what_was_missed_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "explanations", lambda: {"slow": "The moon was full."})
    aims = (
        Aim(key="quick", text="Quick enough", unit="ms", at_most=2, measured=1),
        Aim(key="slow", text="Fast enough", at_least=1000, measured=12.34),
        Aim(key="absent", text="Cheap enough", at_least=5, measured=float("nan")),
    )
    table = Table(title="All of them", columns=("what", "ms"), rows=(("one", 1234.5), ("two", None)))
    machine = Machine(cpu="abacus", cores=2, memory_gib=1, system="Linux", load_average=0.1)
    findings = Findings(tables=(table,), aims=aims)
    record = Record(
        name="speed", title="Speed", date="2026-01-31", is_quick=False, machine=machine, versions={"Python": "3"},
        cpu_s=1, wall_s=2, findings=findings,
    )  # fmt: skip
    page = report.render([Record.model_validate_json(record.model_dump_json())])
    assert "| Quick enough | ≤ 2 ms | 1 ms | met |  |" in page
    assert "| Fast enough | ≥ 1,000 | 12.3 | **missed** | The moon was full. |" in page
    assert "| Cheap enough | ≥ 5 | – | not measured |  |" in page
    assert "| one | 1,234 |" in page
    assert "2 cores of abacus" in page


# FastChat 0.2.36, or a GPU.
_NEED_MORE = (
    *("gateway_fastchat", "cleaning", "cleaning_near", "training_preprocessing", "training_memory"),
    "training_gpu_mfu",
)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name",
    [
        *("gateway", "http_client", "serving", "engines", "footprint", "screening", "coverage", "judge"),
        *("cleaning", "training", "training_gpu"),
    ],
)
def test_every_benchmark_runs(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", name, "--quick", "--folder", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT)
    record = Record.model_validate_json((tmp_path / "results" / f"{name}.json").read_text())
    assert record.is_quick
    assert all(table.rows for table in record.findings.tables)
    assert all(aim.measured is not None for aim in record.findings.aims if aim.key not in _NEED_MORE)
    assert record.title in (tmp_path / "RESULTS.md").read_text()
