"""Labels by a model: what is asked, how answers are read, and that nothing is asked twice or labelled silently."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fastchat.arena.leaderboard.categories.label_file import Label, LabelFile, open_labels, read_labels
from fastchat.arena.leaderboard.categories.labelling import MOST_FAILURES, UNREADABLE, Labeller, Progress
from fastchat.arena.leaderboard.categories.tasks import TASKS, Task
from fastchat.client.chat import Message
from fastchat.core.errors import (
    AuthenticationFailed,
    ContextLengthExceeded,
    FastChatError,
    QueueFull,
    SetupError,
    WorkerFailed,
)

MATH = TASKS["math"]
YES, NO = "<decision>yes</decision>", "<decision>no</decision>"


class Model:
    """Answers what the function says of a question; counts questions, and how many stand at once."""

    def __init__(self, answer: Callable[[str], str | FastChatError]) -> None:
        self._answer = answer
        self.questions: list[str] = []
        self.most_at_once = 0
        self._now = 0

    async def __call__(self, messages: Sequence[Message]) -> str:
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        question = messages[-1]["content"]
        self.questions.append(question)
        await asyncio.sleep(0)
        self._now -= 1
        answer = self._answer(question)
        if isinstance(answer, FastChatError):
            raise answer
        return answer


async def label(model: Model, texts: Sequence[str], file: Path, concurrency: int = 4, tasks: str = "math") -> Progress:
    with open_labels(file) as labels:
        labeller = Labeller(model, "m", concurrency, pause_s=0)
        return await labeller.label(texts, [TASKS[name] for name in tasks.split()], labels)


def labels_in(file: Path) -> list[object]:
    return [one.labels for one in read_labels(file)]


async def test_each_text_is_asked_once_and_its_label_kept(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    model = Model(lambda question: YES if "zebra" in question else NO)
    first = await label(model, ["the zebra", "a yak", "the zebra"], file)
    assert (first.wanted, first.labelled, first.known, first.failed) == (2, 2, 0, 0)
    assert sorted(str(one) for one in labels_in(file)) == ["{'math': False}", "{'math': True}"]
    again = await label(model, ["the zebra", "a dog"], file)
    assert (again.labelled, again.known) == (1, 1)
    assert len(model.questions) == 3


async def test_another_model_or_other_words_are_asked_again(tmp_path: Path) -> None:
    file, model = tmp_path / "labels.jsonl", Model(lambda question: YES)
    await label(model, ["x"], file)
    with open_labels(file) as labels:
        progress = await Labeller(model, "other").label(["x"], [MATH], labels)
    assert progress.labelled == 1


async def test_no_more_questions_stand_at_once_than_allowed(tmp_path: Path) -> None:
    model = Model(lambda question: YES)
    await label(model, [f"text {number}" for number in range(40)], tmp_path / "l.jsonl", concurrency=3)
    assert model.most_at_once == 3


async def test_what_cannot_be_read_is_counted_and_gets_no_label(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    model = Model(lambda question: "It could be argued." if "yak" in question else YES)
    progress = await label(model, ["a yak", "a zebra"], file)
    assert (progress.labelled, dict(progress.failures)) == (1, {UNREADABLE: 1})
    assert labels_in(file) == [{"math": True}]
    assert len(model.questions) == 3  # the unreadable one was asked again
    assert (await label(Model(lambda question: NO), ["a yak", "a zebra"], file)).labelled == 1


async def test_a_failure_that_passes_is_tried_again(tmp_path: Path) -> None:
    failures: list[FastChatError] = [QueueFull("full"), WorkerFailed("gone")]
    model = Model(lambda question: failures.pop() if failures else YES)
    progress = await label(model, ["a", "b"], tmp_path / "l.jsonl", concurrency=2)
    assert (progress.labelled, progress.failed) == (2, 0)


async def test_a_text_that_is_too_long_is_not_asked_again(tmp_path: Path) -> None:
    model = Model(lambda question: ContextLengthExceeded(9000, 8192))
    progress = await label(model, ["a"], tmp_path / "l.jsonl")
    assert (progress.failed, len(model.questions)) == (1, 1)
    assert "9000" in next(iter(progress.failures))


async def test_a_server_that_wants_another_key_ends_the_run(tmp_path: Path) -> None:
    model = Model(lambda question: AuthenticationFailed("wrong key"))
    with pytest.raises(SetupError, match="wrong key"):
        await label(model, [str(number) for number in range(50)], tmp_path / "l.jsonl")
    assert len(model.questions) <= 8


async def test_a_run_that_nobody_answers_ends(tmp_path: Path) -> None:
    model = Model(lambda question: WorkerFailed("gone"))
    with pytest.raises(SetupError, match=f"{MOST_FAILURES} questions in a row were not answered, mostly: WorkerFailed"):
        await label(model, [str(number) for number in range(5 * MOST_FAILURES)], tmp_path / "l.jsonl")


@pytest.mark.parametrize(
    ("task", "answer", "labels"),
    [
        ("math", "<decision> YES </decision>", {"math": True}),
        ("math", "I think so. <decision>no</decision>", {"math": False}),
        ("creative_writing", NO + NO, {"creative_writing": False}),
        ("if", "<score>4</score>", {"if": True, "score": 4}),
        ("if", "<score>3</score>", {"if": False, "score": 3}),
        ("math", "yes", None),
        ("math", YES + NO, None),
        ("if", "<score>6</score>", None),
        ("criteria", "[8]", None),
        ("criteria", "[1] or [2]", None),
        ("criteria", "none", None),
    ],
)
async def test_answers_are_read_strictly(tmp_path: Path, task: str, answer: str, labels: object) -> None:
    file = tmp_path / "labels.jsonl"
    await label(Model(lambda question: answer), ["x"], file, tasks=task)
    assert labels_in(file) == ([] if labels is None else [labels])


async def test_criteria_are_a_list_of_numbers(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    await label(Model(lambda question: "[1, 2,7]"), ["x"], file, tasks="criteria")
    (labels,) = (one.labels for one in read_labels(file))
    assert [name for name, holds in labels.items() if holds] == ["specificity", "domain_knowledge", "real_world"]
    assert len(labels) == 7


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
def test_a_question_fences_the_text_in_with_something_nobody_can_guess(task: Task) -> None:
    one, other = task.question("{braces} 100 %"), task.question("{braces} 100 %")
    assert "{braces} 100 %" in one
    assert one != other


def test_a_long_text_is_cut() -> None:
    assert len(MATH.question("x" * 100_000)) < 15_000


def add(labels: LabelFile, text: str) -> None:
    labels.add(Label("math", "m", text, {"math": True}))


def test_a_line_that_a_kill_has_torn_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    with open_labels(file) as labels:
        add(labels, "a")
        add(labels, "b")
    whole = file.read_bytes()
    for cut in range(1, len(whole) // 2):
        file.write_bytes(whole[:-cut])
        with open_labels(file) as labels:
            assert labels.get("math", "m", "a") == {"math": True}
            assert (labels.get("math", "m", "b") is None) == (cut > 1)  # the end of the line is no loss
            add(labels, "b")
        with open_labels(file) as labels:
            assert labels.get("math", "m", "b") == {"math": True}


@pytest.mark.parametrize("content", ['{"model_a": "x"}', '[{"task": 1}]', "model_a,model_b\n"])
def test_another_file_is_refused_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    file = tmp_path / "votes.json"
    file.write_text(content)
    with pytest.raises(SetupError, match="is no file of labels"), open_labels(file):
        pass
    assert file.read_text() == content
