import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands.bench_results import ShowSettings, show
from fastchat.commands.bench_votes import read_people
from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import append_row
from fastchat.llm_judge.records import SingleVerdict
from fastchat.llm_judge.results.battles import Battle, opinions_of
from fastchat.llm_judge.results.opinions import Choice
from tests.arena.store.stories import ballot, begun, opened
from tests.llm_judge.rows import question


def battle(*prompts: str, models: str = "ab", choice: Choice = Choice.A, voter: str = "v") -> Battle:
    return Battle(prompts, models[0], models[1], choice, voter)


def test_a_battle_is_matched_by_all_that_was_asked() -> None:
    asked = [question(81, "Name a colour.", "And another."), question(82, "Was ist Regen?")]
    battles = [
        battle("  name a\nCOLOUR. "),
        battle("Name a colour.", "And another.", models="ba"),
        battle("WAS IST REGEN?"),
        battle("Name a colour.", "Why?"),
        battle("Something else"),
        battle("Name a colour.", models="az"),
        battle("Name a colour.", models="aa"),
        battle(),
    ]
    found, told = opinions_of(battles, asked, "abc")
    assert [(each.item.question_id, each.item.turn, each.choice, each.kind) for each in found] == [
        (81, 1, Choice.A, "human"),
        (81, 2, Choice.B, "human"),  # of models in the order of the alphabet
        (82, 1, Choice.A, "human"),
    ]
    assert (told.read, told.matched, told.votes) == (8, 3, 3)


def test_of_a_voters_votes_on_the_same_the_last_counts() -> None:
    battles = [
        battle("Q", choice=Choice.A),
        battle("Q", choice=Choice.TIE, models="ba"),
        battle("Q", choice=Choice.B, voter=""),
        battle("Q", choice=Choice.B, voter=""),
    ]
    found, told = opinions_of(battles, [question(1, "Q")], "ab")
    assert [each.choice for each in found] == [Choice.TIE, Choice.B, Choice.B]
    assert (told.matched, told.votes) == (4, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "mine"
    append_row(root / "question.jsonl", question(81, "hello"))
    for model, score in (("alpha", 8), ("beta", 3)):
        row = SingleVerdict(
            question_id=81, model=model, judge=("j", "single-v1"), user_prompt="", judgment="", score=score
        )
        append_row(root / "model_judgment" / "j_single.jsonl", row)
    return root


async def shown(folder: Path, votes: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    assert await show(ShowSettings(folder=folder, votes=str(votes), is_json=True)) == 0
    return json.loads(capsys.readouterr().out)


async def test_the_arenas_own_store(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with opened(str(tmp_path / "arena.db")) as store:
        voter = await store.voter_id("key", None)
        for text in ("hello", "Hello  ", "other"):
            await store.cast(ballot(await begun(store, voter, text)))
        report = await shown(folder, tmp_path / "arena.db", capsys)
    assert report["battles"] == {"read": 3, "matched": 2, "votes": 1}
    assert report["agreements"][0]["kinds"] == ["j-single", "human"]
    assert report["agreements"][0]["with_ties"]["random"]["agreed"] == 1


def written(file: Path, rows: Sequence[dict[str, Any]]) -> Path:
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def vote(**fields: Any) -> dict[str, Any]:
    talk = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "x"}]
    return {"model_a": "beta", "model_b": "alpha", "winner": "model_b", "conversation_a": talk, "judge": "u"} | fields


async def test_an_export_with_texts(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "votes.jsonl", [vote(question_id="abc", conversation_b=[]), vote(winner="tie")])
    report = await shown(folder, file, capsys)
    assert report["battles"] == {"read": 2, "matched": 2, "votes": 1}
    await show(ShowSettings(folder=folder, votes=str(file)))
    assert "The answers that people saw are not those that the judge saw" in " ".join(capsys.readouterr().out.split())


async def test_fastchats_votes_go_by_id(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"question_id": 81, "model_a": "alpha", "model_b": "beta", "winner": "model_b"}
    report = await shown(folder, written(tmp_path / "votes.jsonl", [row]), capsys)
    assert report["battles"] is None
    assert report["agreements"][0]["with_ties"]["random"]["agreed"] == 0


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing.json", None, "--votes {file}: There is no such file"),
        ("votes.csv", "model_a,model_b,winner\na,b,tie\n", "--votes {file}: These votes have no conversations"),
        ("votes.db", "SQLite format 3\0 and no more", "--votes {file}: The arena's database"),
    ],
)
async def test_what_cannot_be_matched_is_said(tmp_path: Path, name: str, content: str | None, told: str) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    with pytest.raises(SetupError, match=told.format(file=re.escape(str(file)))):
        await read_people(str(file), "default")
