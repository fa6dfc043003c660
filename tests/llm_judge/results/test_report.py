import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import encode
from fastchat.llm_judge.records import Answer, Choice, Failure, Question, Row
from fastchat.llm_judge.results import Report, show
from fastchat.llm_judge.results.rendering import csv_text, markdown, text
from fastchat.llm_judge.results.tables import tables
from tests.llm_judge.results.judgments import mamba, pair, prd_pairs, prd_people, score


def write(file: Path, rows: Sequence[Row]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(map(encode, rows)))
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GPT-4's scores of six models and its verdicts on pairs of five, under one name, with made-up lengths."""
    folder = tmp_path_factory.mktemp("bench")
    scores, categories = mamba()
    asked = [Question(question_id=at, category=name, turns=("?", "!")) for at, name in categories.items()]
    write(folder / "question.jsonl", asked)
    write(folder / "model_judgment" / "judge_single.jsonl", scores)
    write(folder / "model_judgment" / "judge_pair.jsonl", prd_pairs("gpt4"))
    missed = Failure(question_id=1, models=("bard",), judge=("judge", "single-v1"), turn=1, reason="no verdict in it")
    there = Failure(question_id=81, models=(scores[0].model,), judge=("judge", "single-v1"), turn=1, reason="timeout")
    write(folder / "model_judgment" / "judge_failures.jsonl", [missed, there])
    for model in ("bard", "gpt4"):
        answers = [
            Answer(question_id=at, answer_id="", model_id=model, choices=(Choice(turns=("x" * (50 + at),)),), tstamp=0)
            for at in range(1, 81)
        ]
        write(folder / "model_answer" / f"{model}.jsonl", answers)
    return folder


@pytest.fixture(scope="module")
def votes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("votes") / "people.json"
    said = [
        {
            "question_id": vote.item.question_id,
            "model_a": vote.item.model_a,
            "model_b": vote.item.model_b,
            "winner": str(vote.choice),
            "judge": "expert_1",
            "turn": 1,
        }
        for vote in prd_people()
    ]
    file.write_text(json.dumps(said))
    return file


@pytest.fixture(scope="module")
def report(folder: Path, votes: Path) -> Report:
    return show(folder, [votes])


def test_a_folder_is_read_whole(report: Report) -> None:
    (judge,) = report.judges
    assert judge.scores is not None
    assert judge.pairs is not None
    assert judge.scores.models[0].score.value == 7.3125
    assert set(judge.scores.models[0].categories) >= {"math", "writing"}
    assert judge.pairs.wins[0].model == "gpt4"
    assert len(judge.calibrated) == 5
    assert ("judge-pair", "human") in [found.kinds for found in report.agreements]
    assert ("human", "human") in [found.kinds for found in report.agreements]


def test_a_failure_that_a_verdict_came_after_is_none(report: Report) -> None:
    assert report.judges[0].failures == {"no verdict in it": 1}
    assert report.judges[0].failures_of_models == {"bard": 1}


def test_json_has_every_number(report: Report) -> None:
    read = json.loads(report.json())
    model = read["judges"][0]["scores"]["models"][0]
    assert model["model"] == "mamba_0_5_dpo_ep3"
    assert model["score"]["lower"] < model["score"]["value"] == 7.3125 < model["score"]["upper"]
    assert read["judges"][0]["pairs"]["position"]["consistent"]["value"] == pytest.approx(0.689, abs=6e-4)


def test_tables_can_be_read(report: Report) -> None:
    shown = text(tables(report))
    assert "7.31 (6." in shown
    assert "are told apart in 80 of 100 such runs" in shown
    assert "of 800 pairs asked in both orders 69 %" in shown.lower()
    assert "no verdict in it" in shown
    assert "On answers of: bard 1." in shown
    assert max(map(len, shown.splitlines())) <= 120
    page = markdown(report)
    assert page.count("\n## ") + 1 == len(list(tables(report)))
    assert "| mamba_0_5_dpo_ep3 | 7.31 (" in page
    rows = list(csv.DictReader(io.StringIO(csv_text(report))))
    assert float(next(row["value"] for row in rows if row["part"] == "turn 1")) > 7
    assert {row["what"] for row in rows} == {"score", "score difference", "win rate", "rating", "position"}


def test_of_many_pairs_the_first_are_shown(tmp_path: Path) -> None:
    rows = [score(f"m{at}", question, at % 7 + question) for at in range(12) for question in range(3)]
    write(tmp_path / "model_judgment" / "judge_single.jsonl", rows)
    report = show(tmp_path)
    (differences,) = [table for table in tables(report) if table.title.startswith("Differences")]
    assert (len(differences.rows), differences.notes) == (45, ("21 more pairs are in the JSON.",))
    assert csv_text(report).count("score difference") == 66


def test_the_last_verdict_counts(tmp_path: Path) -> None:
    write(tmp_path / "model_judgment" / "judge_single.jsonl", [score("m", 1, 3), score("m", 1, 9), score("m", 2, 9)])
    scores = show(tmp_path).judges[0].scores
    assert scores is not None
    assert (scores.models[0].score.value, scores.models[0].verdicts) == (9, 2)


def test_longer_answers_that_score_higher_show(tmp_path: Path) -> None:
    lengths = {("a", 1): 100, ("b", 1): 200, ("a", 2): 400, ("b", 2): 100, ("a", 3): 100, ("b", 3): 100}
    scores = {("a", 1): 4, ("b", 1): 6, ("a", 2): 8, ("b", 2): 5, ("a", 3): 5, ("b", 3): 6}
    for model in "ab":
        answers = [
            Answer(question_id=q, answer_id="", model_id=m, choices=(Choice(turns=("x" * length,)),), tstamp=0)
            for (m, q), length in lengths.items()
            if m == model
        ]
        write(tmp_path / "model_answer" / f"{model}.jsonl", answers)
    write(tmp_path / "model_judgment" / "judge_single.jsonl", [score(m, q, s) for (m, q), s in scores.items()])
    effect = show(tmp_path).judges[0].length_effect
    assert effect is not None
    # Each question compares b with a: 1 + points * (1, -2, 0) doublings are 2, -3 and 1.
    assert effect.points.value == pytest.approx(12 / 7)
    assert effect.verdicts == 6


def test_wins_against_a_baseline(folder: Path) -> None:
    pairs = show(folder, baseline="claude").judges[0].pairs
    assert pairs is not None
    assert [(row.model, row.win + row.loss + row.tie) for row in pairs.wins] == [
        ("gpt4", 80),
        ("gpt35", 80),
        ("vicuna-13b", 80),
        ("bard", 80),
    ]
    with pytest.raises(SetupError, match="Nothing was compared with 'nobody'; the models of these pairs: bard, claude"):
        show(folder, baseline="nobody")


def test_a_folder_without_judgments_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no model_judgment/JUDGE_single\.jsonl"):
        show(tmp_path)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[{", "neither a JSON list nor JSON lines"),
        ('{"question_id": 1, "model_a": "x", "model_b": "y"}', r"vote 1: winner: Field required"),
        ('{"question_id": 1, "model_a": "x", "model_b": "y", "winner": "z"}', "the winner is 'z'"),
        ('{"question_id": 1, "model_a": "x", "model_b": "x", "winner": "tie"}', "'x' is compared with itself"),
    ],
)
def test_a_vote_that_is_none_is_named(folder: Path, tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "votes.jsonl").write_text(line)
    with pytest.raises(SetupError, match=why):
        show(folder, [tmp_path / "votes.jsonl"])


def test_a_match_in_both_orders_of_names_counts_once(tmp_path: Path) -> None:
    rows = [pair("x", "y", at, ("model_1", "model_1")) for at in (1, 2)]
    rows.append(pair("y", "x", 1, ("tie", "tie")))
    write(tmp_path / "model_judgment" / "judge_pair.jsonl", rows)
    report = show(tmp_path)
    assert report.judges[0].pairs is not None
    assert [(row.model, row.win, row.tie) for row in report.judges[0].pairs.wins] == [("x", 1, 1), ("y", 0, 1)]
    assert "1 pair is in the file twice, once with each model first; the last counts." in text(tables(report))
