"""Votes of FastChat's own files, logs and clean battles, and of our exports."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fastchat.arena.exchange.vote_table import write_table
from fastchat.arena.leaderboard.fastchat_votes import ADDRESS, CONTRADICTING, MALFORMED, NAMELESS, TWICE
from fastchat.arena.leaderboard.reading import read_votes, stream_counts
from fastchat.arena.leaderboard.votes import (
    ANONYMOUS,
    CONV_A,
    CONV_B,
    MODEL_A,
    MODEL_B,
    OUTCOME,
    PROBABILITY,
    QUESTION,
    TIME,
    TURNS,
    VOTER,
)
from fastchat.core.errors import SetupError
from fastchat.ranking.comparisons import Outcome

pytest.importorskip("polars")

SAMPLES = Path(__file__).parents[2] / "data" / "fastchat_logs"


def state(name: str | None, said: list[tuple[str, Any]], number: int, **more: Any) -> dict[str, Any]:
    return {"model_name": name, "messages": said, "offset": 0, "conv_id": f"{number:032x}", **more}


def vote(
    kind: str = "leftvote", shown: tuple[str | None, str | None] = ("", ""), at: float = 5.0, **more: Any
) -> dict[str, Any]:
    said = [("USER", "hi"), ("ASSISTANT", "hello")]
    states = [state("alpha", said, int(at) * 2), state("beta", said, int(at) * 2 + 1)]
    return {"tstamp": at, "type": kind, "models": list(shown), "states": states, "ip": "192.0.2.1", **more}


def log(folder: Path, *lines: dict[str, Any] | str, name: str = "2024-05-01-conv.json") -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / name).write_text("\n".join(texts) + "\n")
    return folder / name


def test_the_folder_of_a_server_gives_its_votes_by_time() -> None:
    table = read_votes([SAMPLES], needs={CONV_A, CONV_B})
    first = table.frame.row(0, named=True)
    assert table.frame[TIME].to_list() == sorted(table.frame[TIME].to_list())
    assert table.frame[OUTCOME].to_list() == [
        Outcome.LEFT, Outcome.TIE, Outcome.BOTH_BAD, Outcome.RIGHT, Outcome.RIGHT,
    ]  # fmt: skip
    assert first[CONV_A] == [
        {"role": "user", "content": "Write a haiku about rain."},
        {"role": "assistant", "content": "Soft rain on tin roofs\nthe gutters hum an old tune\nnight forgets its name"},
    ]
    assert first | {CONV_A: None, CONV_B: None} == {
        MODEL_A: "vicuna-13b", MODEL_B: "gpt-4", OUTCOME: 0, VOTER: "arena_user_0", TIME: 1700042431.4242,
        ANONYMOUS: True, TURNS: 1, QUESTION: "0a1b2c3d4e5f40718293a4b5c6d7e8f9", CONV_A: None, CONV_B: None,
    }  # fmt: skip
    assert table.frame[ANONYMOUS].to_list() == [True, False, False, True, True]
    assert table.frame[VOTER].to_list() == [f"arena_user_{number}" for number in (0, 0, 1, 2, 0)]
    assert table.source["left_out"] == {MALFORMED: 1}
    assert [file["name"] for file in table.source["files"]] == sorted(file.name for file in SAMPLES.glob("*.json"))
    assert CONV_A not in read_votes([SAMPLES]).frame.columns


def test_addresses_are_for_who_asks_for_them(tmp_path: Path) -> None:
    file = log(tmp_path, vote())
    assert "192.0.2.1" not in str(read_votes([file], needs={CONV_A}).frame.rows())
    assert read_votes([file], needs={ADDRESS}).frame[ADDRESS].to_list() == ["192.0.2.1"]


@pytest.mark.parametrize("name", ["2024-05-01-conv.json", "any.json", "any.jsonl", "any", "2024-05-01-conv.json.gz"])
def test_logs_are_known_by_what_is_in_them(tmp_path: Path, name: str) -> None:
    chat = {"tstamp": 1.0, "type": "chat", "model": "alpha", "state": state("alpha", [("USER", 'a vote"')], 1)}
    file = log(tmp_path, "{broken", chat, vote(), name=name)
    if name.endswith(".gz"):
        file.write_bytes(gzip.compress(file.read_bytes()))
    table = read_votes([file])
    assert table.frame.select(MODEL_A, MODEL_B, OUTCOME).rows() == [("alpha", "beta", 0)]
    assert stream_counts([file]).number == 1


@pytest.mark.parametrize(
    ("line", "left_out"),
    [
        (vote(shown=("Model A", "Model B")), None),
        (vote(shown=("alpha", "beta")), None),
        (vote(shown=("### Model A: alpha", "### Model B: beta")), None),
        (vote(shown=("alpha", "gamma")), CONTRADICTING),
        (vote(shown=("alpha", "")), NAMELESS),
        (vote(states=[state(None, [], 1), state(None, [], 2)]), NAMELESS),
        ({**vote(), "states": []}, MALFORMED),
        (json.dumps(vote())[:-9], MALFORMED),
        (vote(at=4.0), TWICE),
    ],
)
def test_votes_that_cannot_count_are_counted(tmp_path: Path, line: Any, left_out: str | None) -> None:
    table = read_votes([log(tmp_path, vote(at=4.0), line)])
    assert table.source["left_out"] == ({left_out: 1} if left_out else {})
    assert len(table) == (1 if left_out else 2)


def test_names_that_are_shown_mean_that_the_vote_was_not_blind(tmp_path: Path) -> None:
    shown = [("", ""), ("Model A", "Model B"), ("alpha", "beta"), ("### Model A: alpha", "### Model B: beta")]
    lines = [vote(shown=names, at=number + 1.0) for number, names in enumerate(shown)]
    assert read_votes([log(tmp_path, *lines)]).frame[ANONYMOUS].to_list() == [True, True, False, False]
    assert len(read_votes([log(tmp_path, *lines)], where={"anony": "true"})) == 2


def test_examples_of_a_template_are_not_said(tmp_path: Path) -> None:
    said = [("USER", "1+1?"), ("ASSISTANT", "2"), ("USER", ("what is this?", ["9e107d"])), ("ASSISTANT", "a cat")]
    line = vote(states=[state("alpha", said, 1, offset=2), state("beta", said, 2, offset=9)])
    row = read_votes([log(tmp_path, line)], needs={CONV_A, CONV_B}).frame.row(0, named=True)
    assert row[TURNS] == 1
    assert [message["content"] for message in row[CONV_A]] == ["what is this?", "a cat"]
    assert len(row[CONV_B]) == 4  # an offset beyond the messages means nothing


def test_servers_write_into_folders_of_their_own(tmp_path: Path) -> None:
    for server, at in (("server1", 2.0), ("server0", 3.0)):
        (tmp_path / server).mkdir()
        log(tmp_path / server, vote(at=at))
    table = read_votes([tmp_path])
    assert table.frame[TIME].to_list() == [2.0, 3.0]
    assert [file["name"] for file in table.source["files"]] == [
        "server0/2024-05-01-conv.json",
        "server1/2024-05-01-conv.json",
    ]


def test_logs_without_votes_are_no_votes(tmp_path: Path) -> None:
    file = log(tmp_path, {"tstamp": 1.0, "type": "chat", "model": "alpha", "state": state("alpha", [], 1)})
    for read in (read_votes, stream_counts):
        with pytest.raises(SetupError, match="no vote in"):
            read([file])
    with pytest.raises(SetupError, match="no column 'task' to choose votes by"):
        read_votes([log(tmp_path, vote())], where={"task": "t2i"})


def test_clean_battles_are_read_beside_logs(tmp_path: Path) -> None:
    battle = {
        "question_id": "f", "model_a": "beta", "model_b": "gamma", "winner": "tie (bothbad)", "judge": "arena_user_7",
        "turn": 1, "anony": True, "language": "English", "tstamp": 9.5,
        "conversation_a": [{"role": "user", "content": "hi", "num_tokens": 1}],
    }  # fmt: skip
    clean = tmp_path / "clean_battle_conv_20240520.json"
    clean.write_text(json.dumps([battle], indent=2, ensure_ascii=False))
    table = read_votes([log(tmp_path, vote()), clean], needs={CONV_A})
    assert table.models == ("alpha", "beta", "gamma")
    assert table.frame[VOTER].to_list() == ["arena_user_7", "arena_user_0"]
    assert table.frame[CONV_A].list.len().to_list() == [1, 2]
    assert stream_counts([log(tmp_path, vote()), clean]).number == 2


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_our_exports_come_back(tmp_path: Path, ending: str) -> None:
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    row = {
        "vote_id": "v1", "arena": "default", "model_a": "alpha", "model_b": "beta", "winner": "tie (bothbad)",
        "tstamp": 1700000000.25, "mode": "battle", "anony": True, "probability": 0.25, "policy": "weighted",
        "judge": "0" * 32, "turn": 1, "language": None, "category": None, "marks": ["fast"], "reasons": [],
        "dwell_s": None, "tokens_a": 40, "tokens_b": None, "first_token_s_a": 0.5, "first_token_s_b": 0.25,
        "tokens_per_s_a": 26.0, "tokens_per_s_b": None, "conv_a": talk, "conv_b": talk[:1],
    }  # fmt: skip
    file = tmp_path / f"votes.{ending}"
    write_table([row], file, is_parquet=ending == "parquet")
    found = read_votes([file], needs={CONV_A, CONV_B}).frame.row(0, named=True)
    assert found == {
        MODEL_A: "alpha", MODEL_B: "beta", OUTCOME: Outcome.BOTH_BAD, VOTER: "0" * 32, TIME: 1700000000.25,
        ANONYMOUS: True, PROBABILITY: 0.25, TURNS: 1, QUESTION: "v1", "marks": ["fast"], CONV_A: talk, CONV_B: talk[:1],
        "tokens_a": 40.0, "first_token_s_a": 0.5, "first_token_s_b": 0.25, "tokens_per_s_a": 26.0,
    }  # fmt: skip


def test_packed_and_plain_logs_say_the_same(tmp_path: Path) -> None:
    packed, plain = tmp_path / "packed", tmp_path / "plain"
    shutil.copytree(SAMPLES, plain)
    packed.mkdir()
    for file in SAMPLES.glob("*.json"):
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert read_votes([packed]).source["votes_sha256"] == read_votes([plain]).source["votes_sha256"]
