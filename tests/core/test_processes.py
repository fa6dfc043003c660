import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fastchat.core.processes import record_of_process, running_processes


@pytest.fixture(autouse=True)
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    monkeypatch.setenv("FASTCHAT_RUN_DIR", str(folder))
    return folder


def test_a_process_is_on_record_for_as_long_as_it_serves() -> None:
    with record_of_process("controller", "http://here"):
        [process] = running_processes()
        assert (process.role, process.pid, process.url) == ("controller", os.getpid(), "http://here")
    assert running_processes() == []


def test_a_number_that_another_process_has_by_now_is_not_taken_for_ours(run_dir: Path) -> None:
    run_dir.mkdir()
    created = psutil.Process().create_time() - 3600
    record = {"role": "web", "pid": os.getpid(), "created": created, "url": "x"}
    (run_dir / f"web-{os.getpid()}.json").write_text(json.dumps(record))
    assert running_processes() == []


def test_one_that_has_ended_but_was_not_waited_for_does_not_count(run_dir: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    created = psutil.Process(child.pid).create_time()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    run_dir.mkdir()
    record = {"role": "web", "pid": child.pid, "created": created, "url": "x"}
    (run_dir / "web-1.json").write_text(json.dumps(record))
    assert running_processes() == []
    child.wait()


def test_a_record_nobody_can_read_is_thrown_away(run_dir: Path) -> None:
    run_dir.mkdir()
    (run_dir / "web-1.json").write_text('{"role": ')
    assert running_processes() == []
    assert list(run_dir.iterdir()) == []


def test_a_disk_that_takes_no_record_does_not_stop_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FASTCHAT_RUN_DIR", str(tmp_path / "file" / "run"))
    with record_of_process("web", "x"):
        assert "cannot be written" in caplog.text
