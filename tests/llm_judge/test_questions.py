"""Sets are found by name and by path, and questions are read in whichever format they stand."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.questions import QuestionSet, new_set, read_questions, shipped_sets
from tests.model.hub import FakeHub

DATA = Path(__file__).parents[1] / "data" / "llm_judge" / "questions"

_RESOLVE = "/{repo_id}/resolve/{revision}/{filename}"  # of files on the hub, as its library asks for them

WILDBENCH = {
    "id": "w1",
    "primary_tag": "Planning",
    "conversation_input": [{"role": "user", "content": "Plan a walk.", "language": "English"}],
    "checklist": ["Is there a walk?"],
    "references": {"some-model": "Walk."},
}
ALPACA_EVAL = {"dataset": "helpful_base", "instruction": "Name a river.", "output": "Rhine", "generator": "some-model"}


def written(file: Path, rows: Sequence[Any]) -> Path:
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")
    return file


def row(id_: int | str, **fields: object) -> dict[str, object]:
    return {"question_id": id_, "category": "math", "turns": [f"What is {id_}?"]} | fields


def ids(found: QuestionSet) -> list[int | str]:
    return [question.question_id for question in found.questions]


def test_ours_is_found_by_name() -> None:
    ours = read_questions("fastchat_bench")
    assert ours.name == "fastchat_bench"
    assert "fastchat_bench" in shipped_sets()
    assert ids(ours) == list(range(1001, 1081))


def test_a_folder_of_the_same_name_does_not_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fastchat_bench").mkdir()
    written(tmp_path / "fastchat_bench" / "question.jsonl", [row(1)])
    monkeypatch.chdir(tmp_path)
    assert len(read_questions("fastchat_bench").questions) == 80
    assert ids(read_questions(Path("fastchat_bench"))) == [1]
    assert ids(read_questions("./fastchat_bench")) == [1]


@pytest.mark.parametrize("folder", ["data/mt_bench", "fastchat/llm_judge/data/mt_bench", "mt_bench"])
def test_fastchats_folders_are_found_by_name(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / folder).mkdir(parents=True)
    written(tmp_path / folder / "question.jsonl", [row(81)])
    monkeypatch.chdir(tmp_path)
    found = read_questions("mt_bench")
    assert (found.name, ids(found)) == ("mt_bench", [81])


def test_who_has_no_mt_bench_is_told_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        SetupError, match=r"'mt_bench'.*lm-sys/FastChat has it as fastchat/llm_judge/data/mt_bench.*--questions FILE"
    ) as told:
        read_questions("mt_bench")
    assert "fastchat_bench" in told.value.message
    with pytest.raises(SetupError, match="no question set 'other'"):
        read_questions("other")
    with pytest.raises(SetupError, match="no file or folder"):
        read_questions("somewhere/questions.jsonl")


@pytest.mark.parametrize(
    ("file", "name", "first", "categories", "turns"),
    [
        ("mt_bench.jsonl", "mt_bench", 81, ["writing", "math", "extraction", "stem"], [2, 2, 2, 2]),
        (
            "arena_hard_v0.1.jsonl",
            "arena_hard_v0.1",
            "a309b458a5db427f974f305c95638204",
            ["arena-hard-v0.1"] * 3,
            [1] * 3,
        ),
        (
            "arena_hard_v2.0.jsonl",
            "arena_hard_v2.0",
            "bfdf93b4e65b4b0e",
            ["hard_prompt"] * 4 + ["creative_writing"] * 2,
            [1] * 6,
        ),
        ("mt_bench_101.jsonl.gz", "mt_bench_101", 34, ["GR", "GR", "MR", "MR", "SI", "SI"], [3, 3, 2, 2, 2, 2]),
    ],
)
def test_published_files_are_read(file: str, name: str, first: object, categories: list[str], turns: list[int]) -> None:
    found = read_questions(DATA / file)
    assert (found.name, ids(found)[0]) == (name, first)
    assert [question.category for question in found.questions] == categories
    assert [len(question.turns) for question in found.questions] == turns


def test_references_of_mt_bench_are_read() -> None:
    references = [question.reference for question in read_questions(DATA / "mt_bench.jsonl").questions]
    assert references[:2] == [None, ("Area is 3", "5pi")]


@pytest.mark.parametrize(
    ("given", "id_", "category", "turns"),
    [
        (WILDBENCH, "w1", "Planning", ("Plan a walk.",)),
        (ALPACA_EVAL, 1, "helpful_base", ("Name a river.",)),
        ({"question_id": 5, "text": "Why?", "category": "generic"}, 5, "generic", ("Why?",)),
        ({"uid": "u", "category": "hard_prompt", "turns": [{"content": "Why?"}]}, "u", "hard_prompt", ("Why?",)),
        ({"question_id": "a", "question": "Why?", "reference": "Because."}, "a", "", ("Why?",)),
    ],
)
def test_a_row_of_each_format(
    given: dict[str, object], id_: object, category: str, turns: tuple[str, ...], tmp_path: Path
) -> None:
    (question,) = read_questions(written(tmp_path / "some.jsonl", [given])).questions
    assert (question.question_id, question.category, question.turns) == (id_, category, turns)


def test_what_else_a_row_says_is_kept(tmp_path: Path) -> None:
    (question,) = read_questions(written(tmp_path / "wild.jsonl", [WILDBENCH])).questions
    assert question.model_dump()["checklist"] == ["Is there a walk?"]
    assert question.reference is None


def test_what_was_said_before_stands_above_the_last_message(tmp_path: Path) -> None:
    said = [("user", "A walk?"), ("assistant", "Yes, at six."), ("user", "Too early.")]
    given = WILDBENCH | {"conversation_input": [{"role": role, "content": content} for role, content in said]}
    (question,) = read_questions(written(tmp_path / "wild.jsonl", [given])).questions
    (turn,) = question.turns
    assert turn.index("Me: A walk?") < turn.index("You: Yes, at six.") < turn.index("Too early.")


@pytest.mark.parametrize("rows", [[WILDBENCH], [ALPACA_EVAL, ALPACA_EVAL], [row(1, source="ours")]])
def test_questions_written_as_ours_are_the_same_questions(rows: list[object], tmp_path: Path) -> None:
    first = read_questions(written(tmp_path / "theirs.jsonl", rows))
    again = read_questions(
        written(tmp_path / "ours.jsonl", [question.model_dump(mode="json") for question in first.questions])
    )
    assert again.questions == first.questions
    assert again.sha256 == first.sha256


def test_the_digest_is_of_what_is_asked(tmp_path: Path) -> None:
    rows = [row(1), row(2)]
    plain = read_questions(written(tmp_path / "a.jsonl", rows))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(rows, indent=4).encode()))
    assert read_questions(tmp_path / "b.json.gz").sha256 == plain.sha256
    assert read_questions(written(tmp_path / "c.jsonl", [row(1), row(2, turns=["Why?"])])).sha256 != plain.sha256
    assert read_questions(tmp_path / "a.jsonl", first_n=1).sha256 != plain.sha256


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits a second before it asks again
    file = json.dumps(row(7)).encode()
    with FakeHub(
        files={"org/set": {"data/easy.jsonl": file, "question.jsonl": file}, "org/gated": {"easy.jsonl": file}}
    ).running() as fake:
        fake.gated.add("org/gated")
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", fake.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", fake.url + _RESOLVE)
        yield fake


def test_a_file_on_the_hub_is_fetched(hub: FakeHub) -> None:
    found = read_questions("hf://datasets/org/set/data/easy.jsonl")
    assert (found.name, ids(found), found.source) == ("easy", [7], "hf://datasets/org/set/data/easy.jsonl")
    assert len(hub.downloads()) == 1
    assert ids(read_questions("hf://datasets/org/set@main/data/easy.jsonl")) == [7]
    assert len(hub.downloads()) == 1  # it is in the cache
    assert read_questions("hf://datasets/org/set/question.jsonl").name == "set"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("hf://datasets/org/set/hard.jsonl", "no file 'hard.jsonl'"),
        ("hf://datasets/org/none/easy.jsonl", "no data set 'org/none'"),
        ("hf://datasets/org/gated/easy.jsonl", "accepted its terms"),
        ("hf://org/set", "is named hf://datasets/OWNER/NAME/FILE"),
        ("hf://datasets/o--rg/set/easy.jsonl", "cannot be the name"),
    ],
)
def test_what_the_hub_does_not_have_is_said_in_words(name: str, complaint: str, hub: FakeHub) -> None:
    with pytest.raises(SetupError, match=complaint):
        read_questions(name)


def test_some_of_them_can_be_chosen(tmp_path: Path) -> None:
    file = written(tmp_path / "q.jsonl", [row(n) for n in range(10)])
    assert ids(read_questions(file, begin=2, end=8)) == [2, 3, 4, 5, 6, 7]
    assert ids(read_questions(file, begin=2, first_n=2)) == [2, 3]
    with pytest.raises(SetupError, match="has 10 questions, and none"):
        read_questions(file, begin=10)
    with pytest.raises(SetupError, match="begin -1"):
        read_questions(file, begin=-1)


def test_a_folder_has_a_file_a_topic(tmp_path: Path) -> None:
    written(tmp_path / "contracts.jsonl", [row(1, category=""), row(2)])
    (tmp_path / "refunds.yaml").write_text("questions:\n- {question_id: r1, question: 'Why?'}\n", "utf-8")
    (tmp_path / "notes.txt").write_text("not questions", "utf-8")
    (tmp_path / "manifest.json").write_text("{}", "utf-8")  # left by signing
    found = read_questions(tmp_path)
    assert [(one.question_id, one.category) for one in found.questions] == [
        (1, "contracts"),
        (2, "math"),
        ("r1", "refunds"),
    ]
    assert found.name == tmp_path.name


def test_a_folder_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="has no questions"):
        read_questions(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("q.jsonl", '{"question_id": 1, "turns": ["a"]}\n\n{"question_id": 2,\n', r"q\.jsonl:3: is not JSON"),
        ("q.jsonl", '{"question_id": 1, "turns": ["a"]}\n{"turns": ["b"]}\n', r"q\.jsonl:2: question_id.*required"),
        ("q.jsonl", '{"question_id": 1, "turns": []}\n', r"q\.jsonl:1: turns"),
        ("q.jsonl", '{"question_id": 1, "turns": ["a", " "]}\n', r"q\.jsonl:1: question 1 has an empty turn"),
        ("q.jsonl", '{"question_id": 1, "turns": ["a"], "reference": ["b", "c"]}\n', r"q\.jsonl:1: .*more references"),
        ("q.jsonl", "[1]\n", r"q\.jsonl:1: is list, not a question"),
        ("q.jsonl", '{"question_id": 1, "turns": [{"text": "a"}]}\n', r"q\.jsonl:1: has no 'content'"),
        ("q.jsonl", '{"task": "GR", "id": 1, "history": 5}\n', r"q\.jsonl:1: has a field of another shape"),
        ("q.jsonl", '{"id": 1, "conversation_input": []}\n', r"q\.jsonl:1: has a field of another shape"),
        ("q.json", '[{"question_id": 1,}]', r"q\.json:1: is not JSON"),
        ("q.json", '[{"question_id": 1, "turns": ["a"]}, {}]', r"q\.json: entry 2: question_id"),
        ("q.json", "5", r"q\.json: should be a list of questions"),
        ("q.yaml", "# mine\n- question_id: 1\n  turns: [a]\n- question_id: 2\n", r"q\.yaml:4: turns"),
        ("q.yaml", "questions: [", r"q\.yaml is not YAML"),
        ("q.yaml", "things: []", r"q\.yaml: should be a list of questions"),
        ("q.csv", "a,b", r"q\.csv: questions are read from \.jsonl"),
    ],
)
def test_what_is_no_question_is_refused_with_its_line(name: str, text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(SetupError, match=complaint):
        read_questions(tmp_path / name)


def test_files_that_cannot_be_unpacked_or_decoded_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b"not gzip")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"question_id": 1, "turns": ["a"]}\n')[:-9])
    (tmp_path / "c.jsonl").write_bytes('{"question_id": 1, "turns": ["ä"]}'.encode("latin-1"))
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        with pytest.raises(SetupError, match="cannot be unpacked"):
            read_questions(tmp_path / name)
    with pytest.raises(SetupError, match="is not UTF-8"):
        read_questions(tmp_path / "c.jsonl")


def test_two_questions_cannot_share_an_id(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [row(1), row(2)])
    written(tmp_path / "b.jsonl", [row("2")])
    with pytest.raises(SetupError, match=r"b\.jsonl:1: the question_id 2 is taken by .*a\.jsonl:2"):
        read_questions(tmp_path)


def test_line_separators_inside_a_text_do_not_cut_it(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three"
    (tmp_path / "q.jsonl").write_text(json.dumps(row(1, turns=[text]), ensure_ascii=False) + "\r\n", "utf-8-sig")
    assert read_questions(tmp_path / "q.jsonl").questions[0].turns == (text,)


def test_a_new_set_can_be_read_at_once(tmp_path: Path) -> None:
    files = new_set(tmp_path / "mine")
    assert {file.name for file in files} == {"questions.yaml", "README.md", "suite.toml"}
    found = read_questions(tmp_path / "mine")
    assert found.name == "mine"
    assert ids(found) == ["refund-1", "invoice-1", "tone-1"]


def test_a_new_set_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine", "utf-8")
    with pytest.raises(SetupError, match=r"README\.md is there already"):
        new_set(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text("utf-8") == "mine"
