"""One run at a time in a folder, nobody else's model, and what has changed since an earlier run is said."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.train.lineage import DataFile, Lineage
from fastchat.train.output_folder import claimed, go_on


def origin(**fields: Any) -> Lineage:
    told = {"learning_rate": 1e-5, "lora": {"rank": 8, "alpha": 16}, "output": "a"}
    plain = Lineage(
        method="lora",
        base="base",
        base_config="c0ffee",
        base_lineage=None,
        prompt_format="vicuna_v1.1",
        prompt_format_digest="f00d",
        data=[DataFile("talks.json", "abc", 3)],
        conversations=1,
        samples=1,
        trained_tokens=1,
        told=told,
        code={},
        libraries={},
    )
    return replace(plain, **fields)


def told(**settings: Any) -> dict[str, Any]:
    return {**origin().told, **settings}


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A folder with a checkpoint."""
    checkpoint = tmp_path / "out" / "checkpoint-4"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    origin().write(checkpoint, steps=4)
    return tmp_path / "out"


def test_a_second_run_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    out, base = tmp_path / "out", tmp_path / "base"
    with claimed(out, base), pytest.raises(SetupError, match=r"Another run writes into .*out"), claimed(out, base):
        pass
    with claimed(tmp_path / "out", tmp_path / "base"):
        pass


def test_only_the_first_process_of_a_run_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claimed(tmp_path / "out", tmp_path / "base"):
        monkeypatch.setenv("RANK", "1")
        with claimed(tmp_path / "out", tmp_path / "base"):
            pass


def test_a_run_that_was_killed_leaves_the_folder_free(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from fastchat.train.output_folder import claimed
with claimed(Path({str(tmp_path / "out")!r}), Path("/base")):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "RANK": "0"}, check=False)
    assert done.returncode == -signal.SIGKILL
    with claimed(tmp_path / "out", tmp_path / "base"):
        pass


def test_the_base_is_not_written_over(tmp_path: Path) -> None:
    with (
        pytest.raises(SetupError, match="folder of the model that is tuned"),
        claimed(tmp_path / "." / "x", tmp_path / "x"),
    ):
        pass


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "adapter_config.json", "pytorch_model.bin"])
def test_a_model_that_we_have_not_tuned_is_not_written_over(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(SetupError, match=f"holds a model already .{name}"):
        go_on(tmp_path, origin(), print)


def test_other_files_do_not_matter_and_the_folder_is_ours_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert go_on(tmp_path, origin(), print) is None
    (tmp_path / "model.safetensors").touch()  # killed while the finished model was written
    assert go_on(tmp_path, origin(), print) is None
    assert json.loads((tmp_path / "lineage.json").read_text())["steps"] == 0


def test_the_same_run_goes_on_and_says_no_more(begun: Path) -> None:
    said: list[str] = []
    assert go_on(begun, origin(told=told(output="b", save_every=7)), said.append) == begun / "checkpoint-4"
    assert said == [f"going on from {begun / 'checkpoint-4'}"]


def test_what_has_changed_is_said(begun: Path) -> None:
    said: list[str] = []
    changed = origin(told=told(learning_rate=2e-5, epochs=4), data=[DataFile("talks.json", "abd", 3)])
    go_on(begun, changed, said.append)
    assert said[0].endswith("was written: other data; epochs (not given) → 4; learning_rate 1e-05 → 2e-05")
    assert "optimizer goes on with the learning rate" in said[1]


def test_flags_are_compared_by_their_names(begun: Path) -> None:
    said: list[str] = []
    flags = ["--learning_rate", "1e-5", "--data_path", "a.json", "--logging_steps", "1"]
    origin(told={"flags": flags}).write(begun / "checkpoint-4", steps=4)
    later = ["--data_path", "a.json", "--learning_rate=2e-5", "--logging_steps", "9"]
    go_on(begun, origin(told={"flags": later}), said.append)
    assert said[0].endswith("was written: learning_rate 1e-5 → 2e-5")


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"method": "sft"}, "method lora → sft"),
        ({"base_config": "beef"}, "base_config c0ffee → beef"),
        ({"told": told(lora={"rank": 4, "alpha": 16})}, "lora.rank 8 → 4"),
    ],
)
def test_a_run_with_which_it_cannot_go_on_is_refused(now: dict[str, Any], says: str, begun: Path) -> None:
    with pytest.raises(SetupError, match=says):
        go_on(begun, origin(**now), print)


def test_a_model_of_ours_without_checkpoints_is_tuned_anew_and_that_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "model.safetensors").touch()
    origin().write(tmp_path, steps=8)
    assert go_on(tmp_path, origin(), said.append) is None
    assert "tuned anew" in said[0]
