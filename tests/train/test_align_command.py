"""`fastchat train dpo|preferences --from-votes …`, as a user types it."""

import json
from pathlib import Path
from typing import Any

import pytest

from fastchat.__main__ import run_command
from fastchat.arena.records import Outcome
from fastchat.commands.train_votes import read_battles
from fastchat.core.errors import SetupError
from fastchat.data.readers.preferences import read_preferences, read_rated
from fastchat.train import lineage
from tests.arena.store.stories import ballot, begun, opened
from tests.train import preferring

pytest.importorskip("polars")

LOGS = Path(__file__).parents[1] / "data" / "fastchat_logs"


def vote(number: int, answer_a: str = "Of course!", answer_b: str = "Never now.", **fields: Any) -> dict[str, Any]:
    asked = {"role": "user", "content": f"question {number}"}
    return {
        "vote_id": f"v{number}",
        "model_a": "alpha",
        "model_b": "beta",
        "winner": "model_a",
        "anony": True,
        "judge": "somebody",
        "conversation_a": [asked, {"role": "assistant", "content": answer_a}],
        "conversation_b": [asked, {"role": "assistant", "content": answer_b}],
        **fields,
    }


def write(file: Path, votes: list[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(one) + "\n" for one in votes))
    return str(file)


def train(*words: str | Path) -> None:
    run_command("train", [str(word) for word in words])


@pytest.mark.parametrize("address", ["{folder}/arena.sqlite", "{folder}", "sqlite:///{folder}/arena.sqlite"])
async def test_the_store_of_an_arena_gives_its_votes(address: str, tmp_path: Path) -> None:
    place = address.format(folder=tmp_path)
    async with opened(str(tmp_path / "arena.sqlite")) as store:
        voter = await store.voter_id("key", None)
        for number, outcome in enumerate(Outcome):
            await store.cast(ballot(await begun(store, voter, f"question {number}"), outcome))
    read = await read_battles([place], "default", blind_only=True)
    assert [one.outcome for one in read.battles] == ["a", "b", "tie", "both_bad"]
    first = read.battles[0]
    assert first.is_blind
    assert [one["content"] for one in first.conversation_b] == ["question 0", "right of question 0"]
    assert read.source["head"] is not None
    assert (await read_battles([place], "default", blind_only=True)).source == read.source  # so that lineage proves it
    with pytest.raises(SetupError, match="has no votes"):
        await read_battles([place], "another", blind_only=True)
    with pytest.raises(SetupError, match="Give it alone"):
        await read_battles([place, "more.jsonl"], "default", blind_only=True)


async def test_texts_come_as_they_were_written(tmp_path: Path) -> None:
    r"""Of \frac no form feed is made."""
    text = 'In LaTeX: \\frac{1}{2}, "\\d+" and\na line with \\" in it'
    read = await read_battles([write(tmp_path / "votes.jsonl", [vote(1, text)])], "default", blind_only=True)
    assert read.battles[0].conversation_a[1]["content"] == text


async def test_what_a_leaderboard_leaves_out_is_not_learned_from(tmp_path: Path) -> None:
    votes = [
        vote(1),
        vote(2, "I am Alpha, a language model made by OpenAI. My name is GPT-4."),
        vote(3, marks=["flagged_prompt"]),
        vote(4, model_b="alpha"),
        vote(5, ""),
    ]
    read = await read_battles([write(tmp_path / "votes.jsonl", votes)], "default", blind_only=True)
    assert [one.vote_id for one in read.battles] == ["v1"]
    assert sum(one.votes for one in read.left_out) == 4


async def test_logs_of_fastchat_are_read_and_revealed_names_do_not_count() -> None:
    read = await read_battles([str(LOGS)], "default", blind_only=True)
    assert [one.is_blind for one in read.battles].count(False) == 2


def test_preferences_are_shown_and_written_for_others_to_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = [vote(number) for number in range(30)] + [vote(30, winner="tie")]
    source = write(tmp_path / "votes.jsonl", votes)
    pairs, back, report = tmp_path / "pairs.jsonl", tmp_path / "back.jsonl", tmp_path / "report.json"
    train("preferences", "--from-votes", source, "votes.most_per_voter=20", "held_out=0.3", "--output", pairs,
          "--held-out", back, "--report", report, "--show", "1")  # fmt: skip
    shown = capsys.readouterr().out
    assert "31 votes were read" in shown
    assert "1 left out: neither was preferred" in shown
    assert "10 left out: the voter cast more than 20" in shown
    assert "chosen, assistant: Of course!" in shown
    found = list(read_preferences(pairs))
    assert len(found) + len(list(read_preferences(back))) == 20
    assert found[0].rejected == [{"role": "assistant", "content": "Never now."}]
    assert json.loads(report.read_text())["votes_report"]["votes"] == 31
    train("preferences", "--from-votes", source, "--rated", "--output", pairs, "--show", "0")
    assert {one.is_wanted for one in read_rated(pairs)} == {True, False}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dpo"], "nothing to learn from. Give --from-votes DATABASE|FILE"),
        (["dpo", "--from-votes", "nowhere.jsonl"], "There is no file nowhere.jsonl"),
        (["dpo", "nowhere.yaml"], "There is no recipe 'nowhere.yaml'"),
        (["kto", "--from-votes", "{votes}", "per_device_batch=1"], "per_device_batch=…: 1 was given"),
        (["dpo", "--from-votes", "{votes}", "betta=1"], "do you mean beta?"),
        (["dpo", "--from-votes", "{votes}", "votes.most=1"], "votes.most"),
        (["dpo", "--from-votes", "{votes}", "loop=torch"], "which has one loop"),
        (["dpo", "--from-votes", "{votes}", "merge=true", "lora.quantize=nf4"], "takes no adapter in"),
        (["dpo", "--from-votes", "{votes}", "judge.by=judy"], "judge: asks while sft and lora train"),
        (["dpo", "--from-votes", "{bare}"], "have no conversations"),
        (["dpo", "--from-votes", "{shown}"], "do not say whether voters knew the names"),
        (["dpo", "--from-votes", "{votes}", "votes.winner=gamma"], "Nothing is left to learn from"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = {name: value for name, value in vote(1).items() if not name.startswith("conversation")}
    shown = {name: value for name, value in vote(1).items() if name != "anony"}
    places = {
        "votes": write(tmp_path / "votes.jsonl", [vote(1)]),
        "bare": write(tmp_path / "bare.jsonl", [bare]),
        "shown": write(tmp_path / "shown.jsonl", [shown]),
    }
    with pytest.raises(SystemExit) as left:
        train(*(word.format_map(places) for word in words))
    assert left.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_votes_become_a_tuned_model_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "votes.jsonl", [vote(number) for number in range(12)])
    model, output = preferring.base(tmp_path / "base"), tmp_path / "tuned"
    train("dpo", f"model={model}", f"output={output}", "max_steps=1", "per_device_batch=2", "global_batch=2",
          "precision=fp32", "max_length=128", "held_out=0", "--from-votes", source)  # fmt: skip
    told = lineage.read(output)
    assert told is not None
    assert sorted(told["votes"]) == sorted(f"v{number}" for number in range(12))
    assert told["told"]["votes_report"]["trained"] == 12
    assert "fastchat worker --model-path" in capsys.readouterr().out
