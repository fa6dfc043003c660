"""`fastchat up`, `config` and `models` as far as they go without starting anything."""

import json
from pathlib import Path

import pytest

from fastchat.commands import config, models, up
from fastchat.core.errors import SetupError
from fastchat.launcher.config import Config


@pytest.fixture(autouse=True)
def _run_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FASTCHAT_RUN_DIR", str(tmp_path / "run"))


def write(folder: Path, text: str) -> str:
    file = folder / "fastchat.yaml"
    file.write_text(text)
    return str(file)


def test_config_check_says_what_would_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.main(["check", write(tmp_path, "models:\n  - {model: scripted, names: [a], replicas: 2}\n")])

    first, second, total = capsys.readouterr().out.splitlines()
    assert first.endswith("fastchat.yaml: OK")
    assert second == "  a: scripted with scripted, 2 workers, 0.2 GB"
    assert total.startswith("  together 0.2 GB of memory; available ")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("prot: 1\n", r"fastchat\.yaml:1: prot: there is no such key; did you mean 'port'"),
        (
            "models:\n  - model: scripted\n  - model: gone.gguf\n",
            r"fastchat\.yaml:3: models\[1\]: There is no model at",
        ),
        ("models:\n  - {model: scripted, replicas: 100000}\n", r"fastchat\.yaml:2: models\[0\]: needs 8000\.0 GB"),
        (
            "models:\n  - model: scripted\n  - model: scripted\n    engine_args: {frob: 1}\n",
            r"fastchat\.yaml:3: models\[1\]: engine_args of the engine 'scripted': there is no 'frob'",
        ),
    ],
)
def test_config_check_refuses_with_the_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint):
        config.main(["check", write(tmp_path, text)])


def test_config_schema_is_the_schema_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    config.main(["schema"])

    assert json.loads(capsys.readouterr().out) == Config.model_json_schema()


def test_a_plan_that_does_not_fit_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"fastchat\.yaml:3: models\[0\]: needs 8000\.0 GB"):
        up.main(["--config", write(tmp_path, "port: 0\nmodels:\n  - {model: scripted, replicas: 100000}\n")])

    assert not (tmp_path / "run").exists()


def test_models_on_the_command_line_replace_those_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "models:\n  - {model: scripted, replicas: 100000}\n")

    with pytest.raises(SetupError, match=r"^models\[0\]: There is no model at 'gone\.gguf'"):
        up.main(["gone.gguf", "--config", file])


def test_a_wrong_flag_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="port: 99999 was given; it should be less than or equal to 65535"):
        up.main(["scripted", "--port", "99999"])


@pytest.mark.parametrize("arguments", [["list"], ["add", "scripted"], ["remove", "a"]])
def test_models_says_when_nothing_runs(arguments: list[str]) -> None:
    with pytest.raises(SetupError, match="No `fastchat up` runs here"):
        models.main(arguments)


def test_models_names_the_port_where_nothing_runs() -> None:
    with pytest.raises(SetupError, match="No `fastchat up` runs on port 8123"):
        models.main(["list", "--port", "8123"])
