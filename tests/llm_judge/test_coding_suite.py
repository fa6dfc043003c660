import ast
import json
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.questions import read_questions
from fastchat.llm_judge.records import Question
from fastchat.llm_judge.sandbox import Limits
from fastchat.llm_judge.suites.code_blocks import code_of, fenced
from fastchat.llm_judge.suites.coding import OURS, Check, Item, Outcome, pass_rate, read_items, score

ITEMS = read_items()
DOUBLE = Item(
    Question(question_id=1, turns=("Write `double(n)`.",)),
    frozenset({"double"}),
    (Check(run="double(4)", gives="8"), Check(run="x = 'ab'\ndouble(x)", gives="'abab'")),
    (),
)
RIGHT = "```python\ndef double(n):\n    return n * 2\n```"


def block(code: str) -> str:
    return f"Here it is:\n\n```python\n{code}\n```\nIt works."


def test_suite_is_of_graded_items() -> None:
    assert len(ITEMS) >= 50
    levels = [item.question.model_extra["level"] for item in ITEMS if item.question.model_extra]
    assert min(levels.count(level) for level in (1, 2, 3)) >= 15
    assert len({item.question.question_id for item in ITEMS}) == len(ITEMS)
    assert all(len(item.checks) >= 4 and item.wrong for item in ITEMS)
    assert all(f"`{name}" in item.question.turns[0] for item in ITEMS for name in item.names)


def test_questions_are_read_like_any_others() -> None:
    assert len(read_questions(OURS / "question.jsonl").questions) == len(ITEMS)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.question.model_extra["name"])
def test_reference_passes(item: Item) -> None:
    assert item.question.reference is not None
    outcome = score(item.question.reference[0], item)

    assert (outcome.reason, outcome.passed, outcome.checks_held) == ("", True, len(item.checks))


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.question.model_extra["name"])
def test_wrong_programs_are_found_out(item: Item) -> None:
    for wrong in item.wrong:
        outcome = score(block(wrong), item)

        assert outcome.reason.startswith("wrong: ")
        assert not outcome.passed


def test_every_wrong_program_but_for_its_fault_could_be_right() -> None:
    for item in ITEMS:
        for wrong in item.wrong:
            defined = {getattr(node, "name", None) for node in ast.parse(wrong).body}
            assert item.names <= defined


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (RIGHT, ""),
        ("def double(n):\n    return n * 2", ""),
        (block("print('noise')\ndef double(n):\n    print(n)\n    return n * 2"), ""),
        (block("from dataclasses import dataclass\n@dataclass\nclass A:\n    n: 'int'\ndouble = lambda n: n * 2"), ""),
        (block("def double(n):\n    return n + n\nif __name__ == '__main__':\n    input()"), ""),
        ("I cannot do that.", "the answer has no Python that defines double"),
        (block("def twice(n):\n    return n * 2"), "the answer has no Python that defines double"),
        (block("def double(n):\n    return n * 3"), "wrong: double(4)"),
        (block("def double(n):\n    return 8"), "wrong: x = 'ab'\ndouble(x)"),
        (block("import nothing\ndef double(n): ..."), "exception: ModuleNotFoundError: No module named 'nothing'"),
        (block("def double(n): ...\nimport os\nos._exit(0)"), "the program ended before its checks"),
        (block("def double(n): ...\nraise SystemExit"), "the program ended before its checks"),
        (block("def double(n):\n    while True: pass"), "time"),
        (block("def double(n):\n    return [0] * 10**10"), "wrong: double(4)"),
    ],
)
def test_answers_are_scored_by_what_they_do(answer: str, reason: str) -> None:
    outcome = score(answer, DOUBLE, Limits(cpu_s=1))

    assert (outcome.reason, outcome.passed) == (reason, not reason)


@pytest.mark.parametrize(
    "forged",
    ["[]", '[{"gave": 1}, {"gave": 2}]', "[1, 2]", '{"gave": 8}', "[" * 5000, '[{"raised": 1}, {"raised": 1}]'],
)
def test_results_that_an_answer_writes_itself_count_for_nothing_if_wrong(forged: str) -> None:
    code = f"import os\nfor n in range(3, 20):\n    try: os.write(n, {forged!r}.encode())\n"
    code += "    except OSError: pass\ndef double(n): ...\nos._exit(0)"

    assert not score(block(code), DOUBLE).passed


def test_answer_finds_calls_but_no_expected_value_in_its_process() -> None:
    code = """
import gc, sys
frame, seen = sys._getframe(), [repr(gc.get_objects())]
while frame:
    seen.append(repr(frame.f_locals))
    frame = frame.f_back
def double(what):
    return any(str(what) in text for text in seen)
"""
    checks = (
        Check(run="123456789 * 3", gives="370370367"),
        Check(run="double(123456789 * 3)", gives="False"),
        Check(run="double('123456789 * ' + '3')", gives="True"),
    )

    assert score(block(code), Item(DOUBLE.question, DOUBLE.names, checks, ())).checks_held == 3


@pytest.mark.parametrize(
    ("run", "gives", "holds"),
    [
        ("[1, 2]", "(1, 2)", False),
        ("(1, 2)", "(1, 2)", True),
        ("{2: 'b', 1: 'a'}", "{1: 'a', 2: 'b'}", True),
        ("{3, 1}", "{1, 3}", True),
        ("__import__('collections').Counter('aab')", "{'a': 2, 'b': 1}", True),
        ("'1'", "1", False),
        ("None", "None", True),
        ("[[], {}]", "[[], {}]", True),
        ("object()", "None", False),
        ("1 / 0", "0", False),
    ],
)
def test_values_are_compared_with_their_kinds(run: str, gives: str, holds: bool) -> None:
    item = Item(DOUBLE.question, DOUBLE.names, (Check(run=run, gives=gives),), ())

    assert score(RIGHT, item).passed is holds


def test_an_exception_is_known_by_its_class_or_one_above() -> None:
    code = "class Mine(ValueError): pass\ndef double(n):\n    raise Mine"
    checks = tuple(Check(run="double(1)", raises=kind) for kind in ("ValueError", "Mine", "KeyError"))

    assert score(block(code), Item(DOUBLE.question, DOUBLE.names, checks, ())).checks_held == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```\ndef f(): 1\n```", "def f(): 1\n"),
        ("~~~py\ndef f(): 1\n~~~", "def f(): 1\n"),
        ("- so:\n  ```python\n  def f():\n      return 1\n  ```", "def f():\n    return 1\n"),
        ("```python\ndef f(): 1\n```\nbetter:\n```python\ndef f(): 2\n```", "def f(): 2\n"),
        ("```python\ndef f(): 1\n```\nrun:\n```python\nprint(f())\n```", "def f(): 1\n"),
        ("```python\ndef f(): g()\n```\nand\n```python\ndef g(): 2\n```", "def f(): g()\n\ndef g(): 2\n"),
        ("```json\n{}\n```\n```Python\ndef f(): 1\n```", "def f(): 1\n"),
        ("```python\ndef f(): 1", "def f(): 1\n"),
        ("```python\ndef f(:\n```\n```python\ndef f(): 1\n```", "def f(): 1\n"),
        ("<think>```python\ndef f(): 0\n```</think>```python\ndef f(): 1\n```", "def f(): 1\n"),
        ("````python\ns = '''\n```\n'''\ndef f(): 1\n````", "s = '''\n```\n'''\ndef f(): 1\n"),
        ("no code", None),
        ("```python\nx = 1\n```", None),
    ],
)
def test_code_is_found_in_an_answer(answer: str, code: str | None) -> None:
    names = frozenset({"f", "g"} if "def g" in answer else {"f"})

    assert code_of(answer, names) == code


def test_warnings_of_the_parser_are_not_ours() -> None:
    code = "def f():\n    return '\\d'\n"

    assert code_of(f"```python\n{code}```", frozenset({"f"})) == code


def test_block_without_an_end_is_taken_to_the_end() -> None:
    assert list(fenced("```py\na\nb")) == ["a\nb\n"]


def outcome_of(question: int, passed: bool) -> Outcome:
    return Outcome(question, passed, "", 1, 1, 0.0)


def test_pass_rate_has_wilsons_interval() -> None:
    rate = pass_rate(outcome_of(number, number < 8) for number in range(10))

    assert (rate.rate, rate.questions) == (0.8, 10)
    assert rate.lower == pytest.approx(0.4902, abs=1e-4)  # Wilson's interval of 8 of 10
    assert rate.upper == pytest.approx(0.9433, abs=1e-4)


def test_answers_to_one_question_count_as_one() -> None:
    once = pass_rate(outcome_of(number, number < 8) for number in range(10))

    assert pass_rate(outcome_of(number, number < 8) for number in range(10) for _ in range(5)) == once
    with pytest.raises(ValueError, match="needs an outcome"):
        pass_rate([])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question_id": 1, "names": ["f"], "checks": [{"run": "f()"}]}, "either `gives` or `raises`"),
        ({"question_id": 1, "names": ["f"], "checks": [{"run": "f()", "gives": "(1"}]}, "no literal of Python"),
        ({"question_id": 2, "names": ["f"], "checks": [{"run": "f()", "gives": "1"}]}, "need the same question_ids"),
    ],
)
def test_checks_that_make_no_sense_are_refused(row: dict[str, object], message: str, tmp_path: Path) -> None:
    (tmp_path / "question.jsonl").write_text('{"question_id": 1, "turns": ["Write `f()`."]}\n')
    (tmp_path / "checks.jsonl").write_text(json.dumps(row) + "\n")

    with pytest.raises(SetupError, match=message):
        read_items(tmp_path)
