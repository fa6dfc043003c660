"""The stories of runs/, each by its small twin: from a random model and conversations to one that is served."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = Path(__file__).parents[2] / "runs"
STORIES = ("vicuna_7b", "longchat_16k", "fastchat_t5")


def run(story: str, *flags: str, cache: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "FASTCHAT_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.run([RUNS / f"{story}.sh", *flags], capture_output=True, text=True, env=env, check=False)


@pytest.mark.parametrize("story", STORIES)
def test_what_a_story_needs_is_said(story: str, tmp_path: Path) -> None:
    asked = run(story, "--help", cache=tmp_path)
    assert asked.returncode == 0
    assert f"runs/{story}.sh --tiny" in asked.stdout
    without_data = run(story, "--output", str(tmp_path / "out"), cache=tmp_path)
    assert without_data.returncode == 2
    assert "--data" in without_data.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("story", "tuned"),
    [
        ("vicuna_7b", "vicuna-7b"),
        pytest.param("longchat_16k", "longchat-7b-16k", marks=pytest.mark.full),
        pytest.param("fastchat_t5", "fastchat-t5-3b", marks=pytest.mark.full),
    ],
)
def test_the_twin_tunes_serves_and_asks(story: str, tuned: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(story, "--tiny", "--output", str(out), cache=tmp_path / "cache")
    assert done.returncode == 0, done.stdout + done.stderr
    lineage = json.loads((out / tuned / "lineage.json").read_text())
    assert lineage["steps"] == 4
    assert lineage["data"][0]["name"] == "train.json"
    assert lineage["held_out_losses"][-1] < lineage["held_out_losses"][0]
    answers = list((out / "bench").rglob(f"{tuned}.jsonl"))
    assert len(answers[0].read_text().splitlines()) == 1
    config = json.loads((out / tuned / "config.json").read_text())
    if story == "longchat_16k":
        assert config["rope_parameters"]["factor"] == 4.0

    again = run(story, "--tiny", "--output", str(out), cache=tmp_path / "cache")
    assert again.returncode == 0
    assert again.stdout.count("finished before") == 6
