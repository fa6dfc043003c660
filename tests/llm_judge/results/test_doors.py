"""FastChat's commands, with its flags, on its files."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastchat.__main__ import run_command
from fastchat.llm_judge.files import encode, read_rows
from fastchat.llm_judge.records import Row, SingleVerdict
from tests.llm_judge.results.judgments import mamba, pair, score


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FastChat's place: data/mt_bench under the folder in which the command runs."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "mt_bench" / "model_judgment"
    folder.mkdir(parents=True)
    return folder


def write(file: Path, rows: Sequence[Row]) -> None:
    file.write_bytes(b"".join(map(encode, rows)))


def test_show_result_of_scores(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(data / "gpt-4_single.jsonl", mamba()[0])
    run_command("show_result", ["--model-list", "mamba_0_5_dpo_ep3", "mamba_0_75_dpo_ep1"])
    shown = capsys.readouterr().out
    assert shown.startswith("Mode: single\nInput file: data/mt_bench/model_judgment/gpt-4_single.jsonl")
    heads = [line for line in shown.splitlines() if line.startswith("####")]
    assert heads == [f"########## {name} ##########" for name in ("First turn", "Second turn", "Average")]
    average = shown.split("Average")[1]
    assert "mamba_0_5_dpo_ep3   7.312500" in average
    assert "mamba_0_75_dpo_ep1  7.034375" in average
    assert "mamba_0_875" not in shown


def test_show_result_of_games(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        pair("a", "gpt-3.5-turbo", 1, ("model_1", "model_1")),
        pair("a", "gpt-3.5-turbo", 2, ("model_1", "tie")),
        pair("a", "b", 1, ("model_2", "model_2")),
        pair("a", "b", 2, ("error", "model_2")),
    ]
    write(data / "gpt-4_pair.jsonl", rows)
    run_command("show_result", ["--mode", "pairwise-baseline"])
    against = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a", "1", "0", "1", "0.500000", "0.000000", "0.750000"] in [line[:7] for line in against]
    assert not any(line[:1] in (["b"], ["gpt-3.5-turbo"]) for line in against)
    run_command("show_result", ["--mode", "pairwise-all", "--baseline-model", "a"])
    everything = [line.split()[:4] for line in capsys.readouterr().out.splitlines()]
    assert all(line in everything for line in (["b", "1", "0", "0"], ["a", "1", "1", "1"]))


def test_show_result_says_what_is_missing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(data / "gpt-4_pair.jsonl", [pair("a", "b", 1, ("tie", "tie"))])
    with pytest.raises(SystemExit):
        run_command("show_result", ["--mode", "pairwise-baseline"])
    assert "against 'gpt-3.5-turbo'; name another with --baseline-model" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_command("show_result", [])
    assert "gpt-4_single.jsonl cannot be read" in capsys.readouterr().err


def test_compute_agreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    item = {"question_id": 81, "model_a": "x", "model_b": "y", "turn": 1}
    people = [{**item, "winner": won, "judge": f"expert_{at}"} for at, won in enumerate(["model_a"] * 2 + ["model_b"])]
    # The judge saw the models in the other order; the second turn has a tie only.
    gpt4 = [
        {**item, "model_a": "y", "model_b": "x", "winner": "model_b", "judge": ["gpt-4", "pair-v2"]},
        {**item, "winner": "tie (inconsistent)", "judge": ["gpt-4", "pair-v2-multi-turn"], "turn": 2},
    ]
    people.append({**item, "winner": "tie", "judge": "expert_9", "turn": 2})
    (tmp_path / "people.json").write_text(json.dumps(people))
    (tmp_path / "gpt4.jsonl").write_text("\n".join(map(json.dumps, gpt4)))
    files = ["--votefiles", str(tmp_path / "people.json"), str(tmp_path / "gpt4.jsonl")]
    run_command("compute_agreement", ["--judges", "gpt4-pair", "human", *files])
    assert capsys.readouterr().out.splitlines() == [
        "turn 1 with tie. #total: 3, #agree: 2, ratio: 0.67",
        "turn 1 without tie. #total: 3, #agree: 2, ratio: 0.67",
        "turn 2 with tie. #total: 1, #agree: 1, ratio: 1.00",
        "turn 2 without tie. No two of these judges voted on the same answers.",
        "turn 1 beyond chance. kappa: 0.00, alpha: 0.00, AC1: 0.61",
        "turn 2 beyond chance. kappa: 1.00, alpha: 1.00, AC1: 1.00",
    ]
    run_command("compute_agreement", ["--judges", "human", "human", *files])
    assert "turn 1 with tie. #total: 3, #agree: 1, ratio: 0.33" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run_command("compute_agreement", ["--judges", "author", "human", *files])
    assert "No votes of author in these files; there are gpt4-pair, human." in capsys.readouterr().err


def test_clean_judgment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gpt-4_single.jsonl"
    rows = [score("m", 2, 5), score("m", 1, 4), score("m", 1, 9), score("m", 1, 7, turn=2), score("other", 1, 3)]
    write(file, rows)
    run_command("clean_judgment", ["--infile", str(file), "--models", "m", "absent"])
    kept = read_rows(tmp_path / "gpt-4_single_clean.jsonl", SingleVerdict)
    assert [(row.model, row.question_id, row.turn, row.score) for row in kept] == [
        ("m", 1, 1, 4),
        ("m", 1, 2, 7),
        ("m", 2, 1, 5),
    ]
    shown = capsys.readouterr().out
    assert "#in: 5, #out: 3" in shown
    assert "missing models: absent, number: 1" in shown


def test_clean_judgment_of_pairs_under_any_name(tmp_path: Path) -> None:
    rows = [pair("b", "a", 1, ("tie", "tie")), pair("a", "b", 1, ("tie", "tie")), pair("a", "b", 1, ("tie", "model_1"))]
    write(tmp_path / "mine.jsonl", rows)
    run_command("clean_judgment", ["--infile", str(tmp_path / "mine.jsonl")])
    lines = [json.loads(line) for line in (tmp_path / "mine_clean.jsonl").read_text().splitlines()]
    assert [(row["model_1"], row["g2_winner"]) for row in lines] == [("a", "tie"), ("b", "tie")]


@pytest.mark.parametrize("name", ["show_result", "compute_agreement", "clean_judgment"])
def test_the_old_module_is_a_door_and_its_help_needs_no_numbers(name: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", f"fastchat.llm_judge.{name}", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0
    assert f"usage: {name}" in ended.stdout
    assert not re.search(r"\| +(numpy|scipy|rich|torch)$", ended.stderr, re.MULTILINE)


def test_show_result_counts_a_match_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pairs.jsonl"
    write(file, [pair("a", "b", 1, ("model_1", "model_1")), pair("b", "a", 1, ("tie", "tie"))])
    run_command("show_result", ["--mode", "pairwise-all", "--input-file", str(file)])
    shown = capsys.readouterr().out
    assert "once with each model first: 1. The last counts." in shown
    assert [line.split()[1:4] for line in shown.splitlines() if line.startswith(("a ", "b "))] == [["0", "0", "1"]] * 2
