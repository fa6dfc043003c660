import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastchat.commands import bench
from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import encode
from fastchat.llm_judge.records import Answer, Choice, Question, Row
from fastchat.llm_judge.results.compare import Place, compare
from tests.llm_judge.results.judgments import pair, score


def written(folder: Path, name: str, rows: Sequence[Row]) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(map(encode, rows)))
    return folder


def scores(folder: Path, *rows: Row, judge: str = "judge") -> Path:
    mine = [row.model_copy(update={"judge": (judge, "single-v1")}) for row in rows]
    return written(folder, f"model_judgment/{judge}_single.jsonl", mine)


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return scores(tmp_path / "one", *(score(model, q, 5 + q % 2) for model in "xy" for q in range(4)), score("z", 0, 1))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """x is one point better throughout; of y there are two verdicts, of which one fell by three."""
    rows = [*(score("x", q, 6 + q % 2) for q in range(4)), score("y", 0, 5), score("y", 1, 3)]
    return scores(tmp_path / "other", *rows, judge="another")


def test_differences_are_paired_by_question(one: Path, other: Path) -> None:
    found = compare(one, other)
    assert found.scores is not None
    shifts = {shift.model: shift for shift in found.scores.shifts}
    assert shifts.keys() == {"x", "y"}
    x, y = shifts["x"], shifts["y"]
    # The same point on every question: paired, nothing is left to chance; two means by themselves would leave much.
    assert (x.first, x.second, x.difference.value, x.difference.error, x.verdicts) == (5.5, 6.5, 1, 0, 4)
    assert (y.first, y.second, y.difference.value, y.verdicts, y.equal) == (5.5, 4, -1.5, 2, 1)
    # Halves of 0 and -3: an error of 1.5, and Student's t with one degree of freedom.
    assert y.difference.error == pytest.approx(1.5)
    assert y.difference.lower == pytest.approx(-1.5 - 12.706 * 1.5, abs=1e-3)
    assert (found.first.judge, found.second.judge) == ("judge", "another")
    assert (found.first.verdicts, found.first.alone, found.second.alone) == (9, 3, 0)


def test_the_largest_change_comes_first(one: Path, other: Path) -> None:
    found = compare(one, other).scores
    assert found is not None
    assert len(found.changes) == 5
    assert (found.changes[0].model, found.changes[0].place, found.changes[0].second) == ("y", Place(1, 1), 3)


def test_judges_agree_on_which_answer_is_better(one: Path, other: Path) -> None:
    found = compare(one, other).scores
    assert found is not None
    assert found.agreement is not None
    # Questions 0 and 1: ties for the one, x for the other.
    random = found.agreement.with_ties.random
    assert random is not None
    assert (random.agreed, random.total) == (0, 2)
    same = compare(one, one).scores
    assert same is not None
    assert same.changes == ()
    assert same.agreement is not None
    assert same.agreement.with_ties.random is not None
    assert same.agreement.with_ties.random.share.value == 1


def test_pairs_are_told_apart_whatever_their_order(tmp_path: Path) -> None:
    won, lost, open_ = ("model_1", "model_1"), ("model_2", "model_2"), ("model_1", "model_2")
    one = written(
        tmp_path / "one",
        "model_judgment/judge_pair.jsonl",
        [pair("a", "b", 1, won), pair("a", "b", 2, won), pair("a", "b", 3, won), pair("a", "b", 4, ("error", "tie"))],
    )
    other = written(
        tmp_path / "other",
        "model_judgment/judge_pair.jsonl",
        [pair("b", "a", 1, lost), pair("b", "a", 2, won), pair("a", "b", 3, open_), pair("a", "b", 4, won)],
    )
    found = compare(one, other)
    assert found.scores is None
    assert found.wins is not None
    assert [(shift.model, shift.first, shift.second) for shift in found.wins.shifts] == [("a", 1, 0.5), ("b", 0, 0.5)]
    assert [(change.model, change.place.question_id, change.second) for change in found.wins.changes] == [
        ("a", 2, 0),
        ("a", 3, 0.5),
    ]
    assert found.second.alone == 1


def test_answers_that_are_not_the_same_are_told(one: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, said in ((one, "yes"), (other, "no")):
        rows = [
            Answer(question_id=q, answer_id="", model_id="x", choices=(Choice(turns=(text,)),), tstamp=0)
            for q, text in ((0, "so"), (1, said))
        ]
        written(folder, "model_answer/x.jsonl", rows)
    bench.main(["compare", str(one), str(other)])
    shown = capsys.readouterr().out
    assert "Of 2 answers in both folders 1 are not the same text" in shown
    assert re.search(r"^x .* 1\.00( |$)(?!\()", shown, re.MULTILINE)  # each grade by so much: no interval has a width
    bench.main(["compare", str(one), str(other), "--json", "--models", "y"])
    read = json.loads(capsys.readouterr().out)
    assert [shift["model"] for shift in read["scores"]["shifts"]] == ["y"]
    assert (read["answers"], read["scores"]["changes"][0]["place"]) == (0, [1, 1, ""])


def test_two_judges_of_one_folder(one: Path) -> None:
    scores(one, score("x", 0, 9), judge="severe")
    with pytest.raises(SetupError, match=r"has several judges: judge, severe\. Say which with --judges A,B"):
        compare(one, one)
    found = compare(one, one, ("judge", "severe"))
    assert found.scores is not None
    assert found.scores.shifts[0].difference.value == 4
    with pytest.raises(SetupError, match="no verdicts of 'mild'; its judges: judge, severe"):
        compare(one, one, ("judge", "mild"))


def test_what_cannot_be_compared_is_said(one: Path, other: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no verdict in common"):
        compare(one, scores(tmp_path / "elsewhere", score("x", 99, 5)))
    written(one, "question.jsonl", [Question(question_id=0, turns=("Why?",))])
    written(other, "question.jsonl", [Question(question_id=0, turns=("Where?",))])
    with pytest.raises(SetupError, match="Question 0 of"):
        compare(one, other)
    with pytest.raises(SetupError, match="Which two folders"):
        bench.main(["compare", str(one)])
