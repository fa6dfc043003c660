"""`fastchat votes` and the modules of FastChat's that it stands for: what goes in, what is printed, what is written."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastchat.__main__ import main
from tests.arena.exchange.logs import SAMPLES
from tests.ranking.crowds import HONEST, crowd

Line = dict[str, Any]
AT = 1700042431.4242  # 2023-11-15 in UTC and in California


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """In an empty folder, at home in another."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("LOGDIR", "FASTCHAT_WEB_CONV_LOG_DIR"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str | Path) -> Ran:
        status = 0
        try:
            main(["votes", *map(str, arguments)])
        except SystemExit as error:
            status = int(error.code or 0)
        return Ran(status, *capsys.readouterr())

    return call


def vote(number: int = 0, kind: str = "leftvote", *, shown: tuple[str, str] = ("", ""), **changes: Any) -> Line:
    """A line; `changes`: models, answers, question, ip, conv_id, offset."""
    models = changes.get("models", ("vicuna-13b", "koala-13b"))
    answers = changes.get("answers", ("It is scattered.", "Light is scattered by air."))
    states = [
        {
            "template_name": "x",
            "roles": ["USER", "ASSISTANT"],
            "messages": [["USER", changes.get("question", "Why is the sky blue?")], ["ASSISTANT", answer]],
            "offset": changes.get("offset", 0),
            "conv_id": f"{changes.get('conv_id', number):031x}{side}",
            "model_name": model,
        }
        for side, (model, answer) in enumerate(zip(models, answers, strict=True))
    ]
    ip = changes.get("ip", "198.51.100.7")
    return {"tstamp": AT + number, "type": kind, "models": list(shown), "states": states, "ip": ip}


def write(folder: Path, *lines: Line | str, name: str = "2023-11-15-conv.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return file


def battles(name: str = "clean_battle_20231115.json") -> list[Line]:
    rows: list[Line] = json.loads(Path(name).read_text("utf-8"))
    return rows


def test_a_clean_battle_has_the_fields_of_fastchats(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", vote(kind="bothbad_vote"))

    done = run("clean", "--logs", tmp_path / "logs", "--mode", "conv_release")

    assert done.status == 0
    (row,) = battles("clean_battle_conv_20231115.json")
    talk = [{"role": "user", "content": "Why is the sky blue?", "num_tokens": 6}]
    assert row == {
        "question_id": f"{0:032x}",
        "model_a": "vicuna-13b",
        "model_b": "koala-13b",
        "winner": "tie (bothbad)",
        "judge": "arena_user_198.51.100.7",
        "conversation_a": [*talk, {"role": "assistant", "content": "It is scattered.", "num_tokens": 5}],
        "conversation_b": [*talk, {"role": "assistant", "content": "Light is scattered by air.", "num_tokens": 7}],
        "turn": 1,
        "anony": True,
        "language": "English",
        "tstamp": AT,
    }


def test_simple_battles_are_without_conversations(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", vote(), vote(1, "rightvote", shown=("vicuna-13b", "koala-13b")))

    done = run("clean", "--logs", tmp_path / "logs")

    assert [row["winner"] for row in battles()] == ["model_a", "model_b"]
    assert [row["anony"] for row in battles()] == [True, False]
    assert {*battles()[0]} == {"model_a", "model_b", "winner", "judge", "turn", "anony", "language", "tstamp"}
    assert "#votes: 2\n" in done.out
    assert "#battles: 2, #anony: 1" in done.out
    assert "last-updated: 2023-11-15 02:00:32 PST" in done.out
    assert "arena_user_198.51.100.7  2" in done.out
    assert "Write cleaned data to clean_battle_20231115.json" in done.out


@pytest.mark.parametrize(
    ("line", "flags", "counter"),
    [
        (vote(5, answers=("I am Vicuna.", "So.")), [], "leaked_identity"),
        (vote(5, question="Who is Bard?"), ["--identity", "words"], "leaked_identity"),
        (vote(5, answers=("", "So.")), [], "none_msg"),
        (vote(5, answers=(None, "So.")), [], "none_msg"),
        (vote(5, offset=2), [], "none_msg"),
        (vote(5, answers=("**API REQUEST ERROR** Reason: x", "So.")), [], "error"),
        (vote(5, answers=("It is ▌", "So.")), [], "unfinished"),
        (vote(5, models=("dolly", "koala-13b")), ["--exclude-model-names", "dolly"], "exclude_model"),
        (vote(5, models=("bard", "koala-13b")), ["--exclude-model-names", "palm-2"], "exclude_model"),
        (vote(5, shown=("", "koala-13b")), [], "invalid"),
        (vote(5, shown=("dolly", "koala-13b")), [], "invalid"),
        (vote(5, conv_id=0), [], "repeated"),
        (vote(0), [], "repeated"),
        (vote(5, models=("koala-13b", "koala-13b")), [], "self_play"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_is_left_out_is_counted(run: Run, tmp_path: Path, line: Line, flags: list[str], counter: str) -> None:
    write(tmp_path / "logs", vote(0), line)

    done = run("clean", "--logs", tmp_path / "logs", *flags)

    assert f"'{counter}': 1" in done.out
    assert [row["tstamp"] for row in battles()] == [AT]


def test_an_ordinary_word_costs_no_battle(run: Run, tmp_path: Path) -> None:
    """FastChat dropped whatever had "palm" in it, questions included."""
    write(tmp_path / "logs", vote(question="Which palm grows in a llama's meadow?", answers=("Google it.", "None.")))
    run("clean", "--logs", tmp_path / "logs")
    assert len(battles()) == 1


def test_models_get_the_names_they_are_listed_by(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", vote(models=("gpt-4", "claude-2")))
    run("clean", "--logs", tmp_path / "logs")
    assert (battles()[0]["model_a"], battles()[0]["model_b"]) == ("gpt-4-0613", "claude-2.0")


def test_banned_addresses_are_left_out_and_not_listed(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", vote(0), vote(1, ip="203.0.113.9"))
    (tmp_path / "banned.json").write_text('["203.0.113.9"]')

    done = run("clean", "--logs", tmp_path / "logs", "--ban-ip-file", tmp_path / "banned.json")

    assert "'banned': 1" in done.out
    assert "203.0.113.9" not in done.out
    assert len(battles()) == 1


def test_without_addresses_a_voter_has_one_number_in_all_files(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", vote(0), vote(1, ip="203.0.113.9"))
    write(tmp_path / "logs", vote(2), vote(3, ip="203.0.113.9"), name="2023-11-16-conv.json")

    done = run("clean", "--logs", tmp_path / "logs", "--sanitize-ip", "--output", "out.json")

    assert [row["judge"] for row in battles("out.json")] == [f"arena_user_{number}" for number in (0, 1, 0, 1)]
    assert "198.51" not in done.out + Path("out.json").read_text()


def test_broken_lines_are_named_and_stop_nothing(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", '{"tstamp": 1, "type": "chat", "mod', vote(0), '{"type": "leftvote"}')

    done = run("clean", "--logs", tmp_path / "logs")

    assert done.status == 0
    assert len(battles()) == 1
    assert "2 lines cannot be read and were left out" in done.err
    assert "2023-11-15-conv.json:1 is not JSON" in done.err
    assert "2023-11-15-conv.json:3 tstamp: Field required" in done.err
    assert "'malformed': 2" in done.out


def test_logs_without_votes_say_so(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", '{"tstamp": 1, "type": "chat", "state": {"conv_id": "x", "messages": []}}')
    done = run("clean", "--logs", tmp_path / "logs")
    assert done.status == 2
    assert "There is no vote in these 1 logs" in done.err


def test_if_nothing_is_left_nothing_is_written(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", vote(answers=("I am Vicuna.", "So.")))
    done = run("clean", "--logs", tmp_path / "logs")
    assert done.status == 2
    assert "'leaked_identity': 1" in done.out
    assert os.listdir() == []


def test_no_logs_at_all(run: Run) -> None:
    done = run("stats")
    assert done.status == 2
    assert "--logs" in done.err
    assert run("stats", "--logs", "nowhere").err == "error: There is no file or folder nowhere.\n"


@pytest.mark.parametrize("place", ["home/fastchat_logs/server3", "home/fastchat_logs", "here", "variable"])
def test_logs_are_found_where_servers_write_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    write(tmp_path / place, vote())
    monkeypatch.setenv("LOGDIR", str(tmp_path / "variable"))
    assert run("clean", "--output", tmp_path / "out.json").status == 0
    assert len(battles(str(tmp_path / "out.json"))) == 1


def test_the_newest_files_only(run: Run, tmp_path: Path) -> None:
    for day in (14, 16, 15):
        write(tmp_path / "logs", vote(day), name=f"2023-11-{day}-conv.json")
    run("clean", "--logs", tmp_path / "logs", "--max-num-files", "2")
    assert [row["tstamp"] - AT for row in battles()] == pytest.approx([15, 16])


def test_voters_unlike_others_are_set_aside(run: Run, tmp_path: Path) -> None:
    cast, _ = crowd(np.random.default_rng(1), {HONEST: 30, "left": 1}, 60)
    assert cast.voter is not None
    kinds = ("leftvote", "rightvote", "tievote", "bothbad_vote")
    lines = [
        vote(number, kinds[outcome], models=(cast.models[left], cast.models[right]), ip=f"voter{voter}")
        for number, (left, right, outcome, voter) in enumerate(
            zip(cast.left, cast.right, cast.outcome.tolist(), cast.voter, strict=True)
        )
    ]
    write(tmp_path / "logs", *lines)

    done = run("clean", "--logs", tmp_path / "logs", "--set-aside", "0.01", "--output", "out.json")

    assert {row["judge"] for row in battles("out_set_aside.json")} == {"arena_user_voter30"}
    assert len(battles("out.json")) == 30 * 60
    assert "| arena_user_voter30 |    60 |" in done.out
    assert "one side more often than the other |" in done.out


def test_options_that_cannot_be_are_refused(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", vote())
    for flags in (["--set-aside", "2"], ["--min-characters", "0"], ["--languages", "klingonish"]):
        assert run("clean", "--logs", tmp_path / "logs", *flags).status == 2
    with pytest.raises(SystemExit):
        main(["votes", "clean", "--time-zone", "Mars/Olympus"])


def test_stats_of_the_samples(run: Run) -> None:
    done = run("stats", "--logs", SAMPLES, "--time-zone", "UTC")

    assert "| chat         |  11 |        2 |         2 |" in done.out
    assert "| vicuna-13b           |   2 |        0 |         0 |" in done.out
    assert "| rightvote      |   2 |        1 |         1 |" in done.out  # of anonymous votes
    assert "| 2024-05-02 10:00:30 UTC |     2 |" in done.out
    assert "| 2023-11-15 |     6 |               1 |" in done.out
    assert "2023-11-16-conv.json:8 has the type 'dance'" in done.err


def test_hours_reach_back_from_the_newest_line(run: Run, tmp_path: Path) -> None:
    state = {"conv_id": "x", "messages": []}
    ages = (0, 10, 3599, 3600, 7200, 86399, 86400)
    lines = [json.dumps({"tstamp": AT - age, "type": "chat", "model": "m", "state": state}) for age in ages]
    write(tmp_path / "logs", *lines)

    done = run("stats", "--logs", tmp_path / "logs", "--time-zone", "UTC")

    assert "| m     |   7 |        6 |         3 |" in done.out
    hours = done.out.split("hour until")[1].splitlines()[2:26]
    assert [int(line.split("|")[2]) for line in hours] == [3, 1, 1, *[0] * 20, 1]


def test_inspecting_shows_the_winner_first(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "logs", vote(0, "rightvote", answers=("It is.", "So\x1b[31m it is.")), vote(1, "tievote"))

    done = run("inspect", "--logs", tmp_path / "logs", "--winner", "koala-13b", "--loser", "vicuna-13b")

    assert done.out.index("Winner: koala-13b") < done.out.index("Loser: vicuna-13b")
    assert "[[USER]]: Why is the sky blue?" in done.out
    assert "[[ASSISTANT]]: So�[31m it is." in done.out
    assert done.out.count("=" * 20) == 1


@pytest.mark.parametrize(
    ("flags", "number"),
    [
        ([], 5),
        (["--limit", "2"], 2),
        (["--vote", "tie", "bothbad"], 2),
        (["--models", "koala-13b", "alpaca-13b"], 1),
        (["--conv-id", "3d4e5f6071824374a596d7e8f90a1b2c"], 1),
        (["--text", "HAIKU"], 2),
        (["--winner", "gpt-4"], 0),
    ],
)
def test_inspecting_some(run: Run, flags: list[str], number: int) -> None:
    done = run("inspect", "--logs", SAMPLES, *flags)
    assert done.out.count("=" * 20) == number
    assert done.status == (0 if number else 2)


@pytest.mark.parametrize("name", ["clean_battle_data", "basic_stats", "inspect_conv"])
def test_fastchats_modules_are_doors(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """With the abbreviations that its parsers took."""
    monkeypatch.setattr(sys, "argv", [name, "--max-num", "3", "--logs", str(SAMPLES)])
    runpy.run_module(f"fastchat.serve.monitor.{name}", run_name="__main__")
    said = capsys.readouterr()
    assert said.out + said.err


def test_stats_and_help_need_no_optional_package(tmp_path: Path) -> None:
    write(tmp_path, vote())
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('polars', 'numpy', 'scipy', 'lingua')));"
        "from fastchat.__main__ import main; main(sys.argv[1:])"
    )
    for arguments in (["votes", "stats", "--logs", str(tmp_path)], ["votes", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
