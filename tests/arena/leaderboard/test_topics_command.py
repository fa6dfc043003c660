"""`fastchat topics` and its old names, as their users type them, against a server on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fastchat.__main__ import run_command
from tests.stack.system import Process

PROMPTS = [
    f"{verb} {noun}" for noun in ("cakes", "taxes") for verb in ("Explain", "Describe", "Compare", "Rate", "Plan")
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Answers every question with the same words, and embeds."""
    script = json.dumps({"reply": "<decision>yes</decision> [1, 2] <score>5</score>", "embedding_size": 8})
    flags = ["--model-path", "scripted", "--model-names", "echo", "--no-register", "--engine-args", script]
    process = Process("worker", tmp_path_factory.mktemp("server"), ["fastchat.serve.model_worker", *flags], {})
    process.start()
    wait = "import sys, time, urllib.request\nfor _ in range(600):\n try: urllib.request.urlopen(sys.argv[1]); break\n"
    wait += " except OSError: time.sleep(0.1)\n"
    subprocess.run([sys.executable, "-c", wait, f"{process.url}/v1/models"], check=True)
    yield f"{process.url}/v1"
    process.stop()


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file of prompts in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.json").write_text(json.dumps([{"text": text} for text in PROMPTS]))
    return "prompts.json"


def topics(*arguments: str) -> None:
    run_command("topics", list(arguments))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        topics(*arguments)
    assert end.value.code == 2
    return capsys.readouterr().err


def test_the_old_commands_work_as_they_did(prompts: str, tmp_path: Path, server: str) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path, env=env)

    flags = ("--model", "tfidf", "--num-clusters", "2", "--min-length", "3", "--show-top-k", "3", "--save-embeddings")
    done = run("fastchat.serve.monitor.topic_clustering", "--in", prompts, *flags)
    assert done.returncode == 0, done.stderr
    assert "results_c2_kmeans_topk.txt: written" in done.stdout
    assert len((tmp_path / "results_c2_kmeans_all.jsonl").read_text().splitlines()) == len(PROMPTS)
    asked = ("--num-prompts", "4", "--api-url", server)
    done = run("fastchat.serve.monitor.summarize_cluster", "--in", "results_c2_kmeans_cluster.pkl", *asked)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "cluster_summary_2.jsonl").read_text().splitlines()]
    assert [list(row) for row in rows] == [["topic", "percentage"]] * 2
    assert rows[0]["topic"].startswith("<decision>yes")
    assert sum(row["percentage"] for row in rows) == pytest.approx(1)


def test_a_server_embeds(prompts: str, tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--api-url", server, "--batch-size", "3", "--num-clusters", "2", "--cluster-alg", "aggcls"]
    topics("cluster", "--input-file", prompts, "--model", "echo", "--save-embeddings", *flags)
    vectors = np.load(tmp_path / "embeddings.npy")
    assert vectors.shape == (len(PROMPTS), 8)
    assert (tmp_path / "results_c2_aggcls_cluster.pkl").exists()
    before = (tmp_path / "results_c2_aggcls_all.jsonl").read_text()
    topics("cluster", "--input-file", prompts, "--embeddings-file", "embeddings.npy", *flags[4:])
    assert (tmp_path / "results_c2_aggcls_all.jsonl").read_text() == before
    assert "'nobody' does not exist" in refused(capsys, "cluster", "--in", prompts, "--model", "nobody", *flags)


def test_a_model_in_this_process_embeds(prompts: str, tmp_path: Path) -> None:
    topics("cluster", "--input-file", prompts, "--model", "scripted", "--engine", "scripted", "--num-clusters", "2")
    assert (tmp_path / "results_c2_kmeans_all.jsonl").exists()


def test_a_model_labels(prompts: str, tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--input-file", prompts, "--api-url", server, "--tasks", "math,if", "--parallel", "3")
    topics("label", *flags)
    rows = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * len(PROMPTS)
    assert [row["labels"] for row in rows if row["task"] == "math"] == [{"math": True}] * len(PROMPTS)
    assert {row["by"].split(",")[0] for row in rows} == {"echo"}
    topics("label", *flags)
    assert f"0 labels written, {2 * len(PROMPTS)} were there already" in capsys.readouterr().out


def test_prompts_that_get_no_label_are_said(
    prompts: str, tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        topics("label", "--input-file", prompts, "--api-url", server, "--max-tokens", "1", "--tasks", "math")
    assert end.value.code == 1
    said = capsys.readouterr()
    assert f"{len(PROMPTS)} not labelled: an answer that is none of those asked for" in said.err
    assert "0 labels written" in said.out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["cluster"], "--input-file is missing"),
        (["cluster", "--input-file", "none.json"], "none.json cannot be read: No such file"),
        (["cluster", "--input-file", "prompts.json", "--model", "tfidf"], "There are 10 different prompts, too few"),
        (["cluster", "--input-file", "prompts.json", "--embeddings-file", "prompts.json"], "is no .npy file"),
        (["cluster", "--input-file", "prompts.json", "--model", "./nowhere"], "--model tfidf goes by words alone"),
        (["label", "--input-file", "prompts.json", "--tasks", "maths"], "there is no 'maths'. There are: criteria"),
        (["summarize", "--input-file", "other.pkl"], "a pickle can run any program"),
        (["label", "--input-file", "prompts.json", "--api-url", "http://127.0.0.1:9"], "does not answer"),
    ],
)
def test_mistakes_are_said_in_words(
    prompts: str, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert complaint in refused(capsys, *arguments)
