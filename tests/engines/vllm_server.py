"""vLLM for tests, launched as its users would, if its environment is there (`scripts/vllm-cpu-env`)."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastchat.model import builtin
from tests.stack.system import Process

PYTHON = Path(
    os.environ.get("FASTCHAT_VLLM_PYTHON") or Path(__file__).parents[2] / ".cache" / "vllm" / "bin" / "python"
)
START_S = 600.0
# One thread and a small cache, so that it leaves something to whoever else is at work.
ENVIRON = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
FLAGS = ("--python", str(PYTHON), "--dtype", "bfloat16", "--enforce-eager")

# It takes a minute or two to start, which counts as time of the first test that uses it.
VLLM_MARKS = [
    pytest.mark.model,
    pytest.mark.full,
    pytest.mark.timeout(START_S + 120),
    pytest.mark.skipif(not PYTHON.exists(), reason="vLLM is not here: scripts/vllm-cpu-env fetches it (3 GB)"),
]


def arguments(*flags: str, model: Path | None = None) -> list[str]:
    """The command that serves a model, the built-in one unless told, without its address."""
    path = model or builtin.ensure_safetensors()
    return ["fastchat.serve.vllm_worker", "--model-path", str(path), *FLAGS, *flags]


def wait_until_ready(process: Process) -> None:
    deadline = time.monotonic() + START_S
    while "launched.process: Uvicorn running on" not in process.logged():
        assert process.returncode is None, f"it ended before it was ready:\n{process.logged()[-4000:]}"
        assert time.monotonic() < deadline, process.logged()[-4000:]
        time.sleep(0.2)


@contextmanager
def running(folder: Path, *flags: str, model: Path | None = None) -> Iterator[Process]:
    """On its own, without a controller."""
    process = Process("vllm", folder, arguments("--no-register", *flags, model=model), ENVIRON)
    process.start()
    try:
        wait_until_ready(process)
        yield process
    finally:
        process.stop()
