import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastchat.__main__ import run_command
from tests.model.hub import FakeHub

SPACE = "lmsys/mt-bench"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with FakeHub(files={SPACE: {"data/mt_bench/model_answer/alpaca-13b.jsonl": b"{}\n"}}).running() as fake:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", fake.url)
        template = fake.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield fake


def test_what_is_there_is_left_and_the_rest_is_fetched(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("data/mt_bench")
    with pytest.raises(SystemExit):
        run_command("download_mt_bench_pregenerated", [])
    assert (folder / "model_answer" / "alpaca-13b.jsonl").read_bytes() == b"{}\n"
    assert "the space has no file 'data/mt_bench/model_answer/baize-v2-13b.jsonl'" in capsys.readouterr().err
    (folder / "model_answer" / "alpaca-13b.jsonl").write_bytes(b"mine\n")
    wanted = ["baize-v2-13b", "gpt-4"]
    hub.files[SPACE] = _Everything()
    run_command("download_mt_bench_pregenerated", [])
    assert (folder / "model_answer" / "alpaca-13b.jsonl").read_bytes() == b"mine\n"
    assert all((folder / "model_answer" / f"{name}.jsonl").read_bytes() == b"[]\n" for name in wanted)
    kept = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert len(kept) == 33
    assert {"model_judgment/gpt-4_single.jsonl", "model_judgment/gpt-4_pair.jsonl"} < {*kept}
    assert "put fastchat/llm_judge/data/mt_bench/question.jsonl of" in capsys.readouterr().out


class _Everything(dict[str, bytes]):
    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> bytes:
        return b"[]\n"


def test_the_old_module_is_a_door() -> None:
    command = [sys.executable, "-m", "fastchat.llm_judge.download_mt_bench_pregenerated", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0
    assert "usage: download_mt_bench_pregenerated" in ended.stdout
