"""What a user gets from `pip install`, and what importing it costs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "gradio", "ray", "openai", "xllamacpp", "aiohttp", "starlette", "pydantic")


def run(*command: str | Path, **environment: str) -> str:
    env = {**os.environ, **environment}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900, check=False, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.timeout(900)
def test_the_wheel_installs_with_its_extras_into_an_empty_environment(tmp_path: Path) -> None:
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", tmp_path, ROOT)
    wheel = next(tmp_path.glob("fschat-*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "fastchat/py.typed" in names
    assert not [name for name in names if not name.startswith(("fastchat/", "fschat-"))]
    run(sys.executable, "-m", "venv", tmp_path / "empty")
    python = tmp_path / "empty" / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    pip = (python, "-m", "pip", "install", "--quiet", "--constraint", constraints)
    run(*pip, f"fschat[llamacpp,webui] @ {wheel.as_uri()}")
    assert "usage: fastchat" in run(tmp_path / "empty" / "bin" / "fastchat", "--help")
    assert "--model-path" in run(python, "-m", "fastchat.serve.model_worker", "--help")
    installed = run(python, "-m", "pip", "list", "--format", "freeze")
    assert not [line for line in installed.splitlines() if line.startswith(("torch", "nvidia", "transformers"))]

    # The pip that Python brings finds the extra by the name FastChat gave it.
    plan = run(*pip, "--dry-run", "--report", "-", f"fschat[model_worker,webui] @ {wheel.as_uri()}")
    more = {item["metadata"]["name"] for item in json.loads(plan[plan.index("{") :])["install"]}
    assert {"torch", "transformers"} <= more
    assert not [name for name in more if name.startswith("nvidia")]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fastchat.__main__ import main; main(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", ["controller", "api"])
def test_serving_processes_import_no_model_library(command: str) -> None:
    heavy = ("torch", "transformers", "gradio", "ray", "openai", "xllamacpp", "fastapi")
    code = f"import sys, fastchat.commands.{command};print([name for name in {heavy!r} if name in sys.modules])"
    assert run(sys.executable, "-c", code).strip() == "[]"


def test_importing_fastchat_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import fastchat; print(set(sys.modules) - before - {'fastchat'})"
    assert run(sys.executable, "-c", code).strip() == "set()"
