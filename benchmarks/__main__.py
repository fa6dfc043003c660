"""`python -m benchmarks [NAME …] [--quick]`: run benchmarks, keep what they found, write the table."""

import argparse
import datetime
import resource
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import report
from benchmarks.machine import this_machine, versions
from benchmarks.peers.environments import ENVIRONMENTS
from benchmarks.results import Aim, Record

NAMES = (
    *("gateway", "http_client", "serving", "engines", "hf_batching", "quantization", "vllm_cpu"),
    *("weights", "footprint", "votes", "screening", "arena_ui", "coverage", "ranking", "judge"),
    *("cleaning", "training", "training_gpu"),
)
_HERE = Path(__file__).parent
_QUICK_FOLDER = _HERE.parent / ".cache" / "benchmarks"


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parse(argv)
    # Ended from outside, we still end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for peer in ENVIRONMENTS:
        if peer.version is None:
            print(f"{peer.name} is not installed and will be missing: python -m benchmarks.peers prepare")
    folder: Path = arguments.folder or (_QUICK_FOLDER if arguments.quick else _HERE)
    (folder / "results").mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NAMES:
        record = _run(name, is_quick=arguments.quick)
        (folder / "results" / f"{name}.json").write_text(record.model_dump_json(indent=1) + "\n")
        (folder / "RESULTS.md").write_text(report.render(_records(folder)))
        for aim in record.findings.aims:
            print(_line(aim))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure FastChat against its aims and its peers."
    )
    parser.add_argument("names", nargs="*", choices=(*NAMES, []), metavar="NAME", help=f"of {', '.join(NAMES)}; all")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs, in a minute")
    parser.add_argument("--folder", type=Path, help="where results go (default: here; .cache/benchmarks for --quick)")
    return parser.parse_args(argv)


def _run(name: str, *, is_quick: bool) -> Record:
    print(f"{name} …", flush=True)
    module = import_module(f"benchmarks.{name}")
    machine = this_machine()
    wall, cpu = time.perf_counter(), _cpu_s()
    findings = module.run(is_quick=is_quick)
    return Record(
        name=name,
        title=module.TITLE,
        date=datetime.date.today().isoformat(),
        is_quick=is_quick,
        machine=machine,
        versions=versions(),
        cpu_s=round(_cpu_s() - cpu, 1),
        wall_s=round(time.perf_counter() - wall, 1),
        findings=findings,
    )


def _cpu_s() -> float:
    """Of this process and of all its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _records(folder: Path) -> list[Record]:
    files = [folder / "results" / f"{name}.json" for name in NAMES]
    return [Record.model_validate_json(file.read_text()) for file in files if file.exists()]


def _line(aim: Aim) -> str:
    verdict = {True: "met", False: "missed", None: "not measured"}[aim.is_met]
    return f"  {verdict:12} {aim.text}: {'–' if aim.measured is None else f'{aim.measured:.3g}'} {aim.unit}"


if __name__ == "__main__":
    main()
