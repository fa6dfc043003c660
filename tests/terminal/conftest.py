import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.stack.system import Process

SLOW = {"token_ms": 5}


@pytest.fixture
def env(tmp_path: Path) -> Mapping[str, str]:
    """With a cache of its own, since that holds the history."""
    return {**os.environ, "FASTCHAT_CACHE_DIR": str(tmp_path / "cache"), "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A worker with a key and the models `echo` and `echo-alias`."""
    flags = ["--model-path", "scripted", "--model-names", "echo,echo-alias", "--no-register", "--api-key", "secret"]
    folder = tmp_path_factory.mktemp("server")
    process = Process("worker", folder, ["fastchat.serve.model_worker", *flags], {})
    process.start()
    yield process
    process.stop()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def piped(env: Mapping[str, str], text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a command answers to a pipe."""
    return subprocess.run(
        command(*arguments), input=text, capture_output=True, text=True, timeout=60, check=False, env=env
    )


def reply(text: str, **script: object) -> list[str]:
    """Flags that make the scripted engine say this."""
    return ["--engine-args", json.dumps({"reply": text, **script})]
