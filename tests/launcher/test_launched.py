"""`fastchat up` with a model on a launched server, for which a stand-in named vllm is found."""

import json
import tempfile
from pathlib import Path

import psutil
import pytest

from tests.engines import fake_openai_server
from tests.launcher.up import up
from tests.launcher.watched import eventually

pytestmark = pytest.mark.xdist_group("launched")


async def test_a_launched_model_is_served_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "packages"
    fake_openai_server.install_as_vllm(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    model = {"model": "/models/tiny", "names": ["tiny"], "engine": "vllm", "engine_args": {"enforce-eager": True}}
    file = tmp_path / "fastchat.yaml"
    file.write_text(json.dumps({"models": [model], "web": False}))

    # pytest's own folders have names too long for a socket
    with tempfile.TemporaryDirectory() as folder, up("--config", str(file), run_dir=Path(folder)) as system:
        assert await system.chat("tiny", "Hi") == "tiny says hello"
        [first] = [
            process for process in system.family if "--enforce-eager" in process.cmdline() and _is_server(process)
        ]
        first.kill()
        await eventually(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)
        assert await system.chat("tiny", "Hi") == "tiny says hello"


def _is_server(process: psutil.Process) -> bool:
    return "vllm.entrypoints.cli.main" in process.cmdline()[:3]
