"""Prompts in groups: what is read, how they are grouped and named, and which files are written."""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fastchat.arena.leaderboard.categories import Sources, categories_of
from fastchat.arena.leaderboard.categories.label_file import open_labels
from fastchat.arena.leaderboard.topics.clustering import NOISE, Algorithm, Clusters, cluster
from fastchat.arena.leaderboard.topics.embedding import embed_all, unit_length
from fastchat.arena.leaderboard.topics.lexical import tfidf
from fastchat.arena.leaderboard.topics.naming import key_words
from fastchat.arena.leaderboard.topics.outputs import Topics, add_labels, read_groups, write
from fastchat.arena.leaderboard.topics.prompts import chosen, read_prompts
from fastchat.arena.leaderboard.topics.summarizing import Summary, shown, summarize
from fastchat.arena.leaderboard.topics.words import words_of
from fastchat.client.chat import Message
from fastchat.core.errors import ContextLengthExceeded, InvalidRequest, SetupError, WorkerFailed
from fastchat.ranking.comparisons import Floats
from tests.arena.leaderboard.test_categories import votes

SUBJECTS = ("python function", "chocolate cake recipe", "football league match")
VERBS = (
    "explain",
    "describe",
    "compare",
    "show",
    "discuss",
    "review",
    "outline",
    "sketch",
    "rate",
    "plan",
    "note",
    "list",
)
TEXTS = [f"{verb} the {subject} {verb}" for subject in SUBJECTS for verb in VERBS]
TRUTH = [number for number in range(len(SUBJECTS)) for _ in VERBS]


def clouds(sizes: Sequence[int], spread: float = 0.02) -> Floats:
    chance = np.random.default_rng(0)
    centres = np.eye(len(sizes), 8)
    points = [centres[number] + spread * chance.normal(size=(size, 8)) for number, size in enumerate(sizes)]
    return unit_length(np.concatenate(points))


def same_groups(found: Sequence[int], truth: Sequence[int]) -> bool:
    return len(set(zip(found, truth, strict=True))) == len(set(found)) == len(set(truth))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '[{"text": " One "}, {"text": "Two"}]'),
        ("a.jsonl", '{"prompt": "One"}\n\n{"turns": ["Two"]}\n'),
        ("a.json", '[{"conversation_a": [{"role": "user", "content": "One"}, {"role": "assistant", "content": "A"}]},'
                   ' {"conversation": [{"from": "human", "value": "Two"}]}]'),
        ("a.jsonl", '{"conv_a": null, "conv_b": [{"role": "user", "content": ["One", ["x.png"]]}]}\n'
                    '{"conv_a": [{"role": "user", "content": [{"type": "text", "text": "Two"}]}]}\n{"turns": [" "]}'),
    ],
)  # fmt: skip
def test_prompts_are_read_from_every_form(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    assert list(read_prompts(file)) == [["One"], ["Two"]]


def test_prompts_are_read_from_parquet_and_gzip(tmp_path: Path) -> None:
    import gzip

    import polars as pl

    pl.DataFrame({"conv_a": [[{"role": "user", "content": "One"}]]}).write_parquet(tmp_path / "v.parquet")
    (tmp_path / "v.jsonl.gz").write_bytes(gzip.compress(b'{"text": "One"}'))
    assert list(read_prompts(tmp_path / "v.parquet")) == list(read_prompts(tmp_path / "v.jsonl.gz")) == [["One"]]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[{"winner": "tie"}]', "row 1 has no prompt"),
        ('{"text": "a"}\n{"text"', ":2: this is not JSON"),
        ("[1]", "row 1"),
    ],
)
def test_a_file_without_prompts_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(content)
    with pytest.raises(SetupError, match=complaint):
        list(read_prompts(file))


def test_prompts_are_taken_once_and_by_length() -> None:
    asked = ["Hello, world!", "world hello", "hi", "你好", "A much longer prompt than the others", "Hello, world!"]
    assert chosen(asked) == ["Hello, world!", "hi", "你好", "A much longer prompt than the others"]
    assert chosen(asked, min_length=3, max_length=20) == ["Hello, world!"]


def test_prompts_of_other_languages_can_be_left_out() -> None:
    asked = ["Please explain how tides work.", "Bitte erkläre mir, wie die Gezeiten funktionieren."]
    assert chosen(asked, english_only=True) == asked[:1]


@pytest.mark.parametrize("algorithm", ["kmeans", "aggcls", "HDBSCAN"])
def test_groups_are_found_the_largest_first(algorithm: Algorithm) -> None:
    found = cluster(clouds([15, 40, 25]), algorithm, 3, seed=1)
    assert found.group.tolist() == [2] * 15 + [0] * 40 + [1] * 25
    assert (found.similarity > 0.9).all()
    for group in range(3):
        members = found.members(group)
        assert (np.diff(found.similarity[members]) <= 0).all()


def test_the_same_seed_gives_the_same_groups() -> None:
    vectors = np.random.default_rng(3).normal(size=(200, 5))
    one, other = (cluster(vectors, "kmeans", 7, seed=5) for _ in range(2))
    assert one.group.tolist() == other.group.tolist()


def test_what_is_in_no_group_is_said() -> None:
    vectors = np.concatenate([clouds([30, 30]), unit_length(np.array([[0, 0, 0, 0, 0, -1.0, 1, 1]]))])
    found = cluster(vectors, "HDBSCAN", 20, seed=1)
    assert (len(found), found.noise, found.group[-1]) == (2, 1, NOISE)


def test_many_vectors_are_agglomerated_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastchat.arena.leaderboard.topics.clustering._MOST_AT_ONCE", 30)
    found = cluster(clouds([60, 40]), "aggcls", 2, seed=1)
    assert found.group.tolist() == [0] * 60 + [1] * 40


def test_too_few_prompts_are_refused_in_words() -> None:
    with pytest.raises(SetupError, match="There are 2 different prompts, too few for kmeans with 3 groups"):
        cluster(clouds([2]), "kmeans", 3, seed=1)


def test_words_alone_tell_subjects_apart() -> None:
    found = cluster(tfidf(TEXTS, seed=1), "kmeans", 3, seed=1)
    assert same_groups(found.group.tolist(), TRUTH)


def test_texts_without_words_cannot_go_by_words() -> None:
    with pytest.raises(SetupError, match="no words to go by"):
        tfidf(["?", "!", "1"], seed=1)


def test_groups_are_named_by_what_the_others_do_not_say() -> None:
    names = key_words(TEXTS, np.array(TRUTH))
    assert [set(words) & {"python", "chocolate", "football"} for words in names] == [
        {"python"},
        {"chocolate"},
        {"football"},
    ]
    assert all("the" not in words for words in names)


def test_a_prompt_alone_does_not_name_a_group() -> None:
    texts = ["tea kettle", "tea pot", "tea cup cup cup cup cup", "wood axe", "wood saw"]
    assert [words[0] for words in key_words(texts, np.array([0, 0, 0, 1, 1]))] == ["tea", "wood"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't use C++ or C# 7", ["don't", "use", "c++", "or", "c#"]),
        ("写一首诗", ["写一", "一首", "首诗"]),
        ("Привет, мир", ["привет", "мир"]),
        ("a b 12", []),
    ],
)
def test_words_in_every_script(text: str, words: list[str]) -> None:
    assert list(words_of(text)) == words


class Embedder:
    """The length of a text; too long are texts of more than 20 letters."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.calls.append(len(texts))
        if any(len(text) > 20 for text in texts):
            raise ContextLengthExceeded(21, 20)
        return [[len(text), 1.0] for text in texts]


async def test_texts_are_embedded_in_batches_and_in_order() -> None:
    embedder, texts = Embedder(), ["x" * (number % 20 + 1) for number in range(50)]
    rows = await embed_all(embedder, texts, batch_size=8)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    assert np.round(rows[:, 0] / rows[:, 1]).astype(int).tolist() == [len(text) for text in texts]
    assert embedder.calls == [8] * 6 + [2]


async def test_a_text_that_is_too_long_is_cut_in_half_until_it_fits() -> None:
    rows = await embed_all(Embedder(), ["abc", "x" * 70, "abcd"], batch_size=3)
    assert np.round(rows[:, 0] / rows[:, 1]).astype(int).tolist() == [3, 18, 4]


async def test_a_model_that_takes_no_text_at_all_is_an_error() -> None:
    class Refusing:
        async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
            raise InvalidRequest("no")

    with pytest.raises(InvalidRequest, match="no"):
        await embed_all(Refusing(), ["a text"], batch_size=1)


@pytest.fixture
def topics() -> Topics:
    clusters: Clusters = cluster(tfidf(TEXTS, seed=1), "kmeans", 3, seed=1)
    return Topics(TEXTS, clusters, key_words(TEXTS, clusters.group), "kmeans")


def test_files_have_fastchats_names_and_fields(topics: Topics, tmp_path: Path) -> None:
    written = write(topics, tmp_path, show_top_k=4, show_cut_off=10, seed=1)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == [f"results_c3_kmeans_{end}" for end in ("all.jsonl", "cluster.pkl", "topk.txt")]
    rows = [json.loads(line) for line in written.all.read_text("utf-8").splitlines()]
    assert sorted(row["text"] for row in rows) == sorted(TEXTS)
    assert [row["cluster"] for row in rows] == [0] * 12 + [1] * 12 + [2] * 12
    assert list(rows[0]) == ["cluster", "text", "sim", "topic"]
    assert rows[0]["sim"] >= rows[1]["sim"]
    lines = written.top.read_text("utf-8").splitlines()
    assert "cluster 0, #samples: 12" in lines[0]
    assert sum(line.startswith("PROMPT: ") for line in lines) == 12
    assert max(len(line) for line in lines if line.startswith("PROMPT: ")) == len("PROMPT: ") + 10


def test_the_pickle_holds_plain_lists(topics: Topics, tmp_path: Path) -> None:
    class Plain(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            raise AssertionError(f"{module}.{name} is in the pickle")

    with write(topics, tmp_path, show_top_k=4, show_cut_off=10, seed=1).pickle.open("rb") as file:
        infos = Plain(file).load()
    assert [size for size, _, _ in infos] == [12, 12, 12]
    assert all(len(central) == len(drawn) == 4 for _, central, drawn in infos)


def test_a_pickle_is_never_read_but_the_file_beside_it(topics: Topics, tmp_path: Path) -> None:
    written = write(topics, tmp_path, show_top_k=4, show_cut_off=10, seed=1)
    written.pickle.write_bytes(b"would be executed")
    assert [len(group) for group in read_groups(written.pickle)] == [12, 12, 12]
    assert read_groups(written.pickle) == read_groups(written.all)
    written.all.unlink()
    with pytest.raises(SetupError, match="a pickle can run any program"):
        read_groups(written.pickle)


def test_another_file_is_no_clustering(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"cluster": 0, "text": "a"}\n{"text": "b"}\n')
    with pytest.raises(SetupError, match=":2: this is no row of a clustering"):
        read_groups(file)


def test_topics_become_categories_of_votes(topics: Topics, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    with open_labels(file) as labels:
        add_labels(topics, labels, "tfidf")
    name = topics.name(int(topics.clusters.group[0]))
    asked = votes([[TEXTS[0], "a"], [TEXTS[-1], "a"], [TEXTS[1], "a", "And then?", "b"], ["Else", "a"]])
    assert categories_of(asked, [name], Sources(labels=[file]))[name].to_list() == [True, False, True, False]


def test_groups_of_the_same_words_have_different_names() -> None:
    clusters = Clusters(np.array([0, 1]), np.eye(2), np.ones(2))
    topics = Topics(["a", "b"], clusters, [["tea"], ["tea"]], "kmeans")
    assert [topics.name(0), topics.name(1)] == ["tea", "tea (1)"]


def test_a_model_sees_central_prompts_and_some_of_the_others() -> None:
    prompts = [f"p{number}" for number in range(100)]
    seen = shown(prompts, 10, seed=1)
    assert seen[:8] == prompts[:8]
    assert len(set(seen)) == 10
    assert shown(prompts, 10, seed=1) == seen
    assert shown(prompts[:3], 10, seed=1) == prompts[:3]


async def test_a_summary_is_one_line_with_its_share() -> None:
    questions: list[str] = []

    async def ask(messages: Sequence[Message]) -> str:
        questions.append(messages[0]["content"])
        return '\n **"Baking cakes"**\nand more'

    groups = [["a" * 500 + "END", "b"], ["c", "d", "e", "f"]]
    assert await summarize(groups, 0, ask, num_prompts=10, seed=1) == Summary("Baking cakes", 0.333333)
    assert "a" * 100 + " … " in questions[0]
    assert "END" in questions[0]


async def test_an_empty_answer_is_no_summary() -> None:
    async def ask(messages: Sequence[Message]) -> str:
        return " \n"

    with pytest.raises(WorkerFailed, match="nothing of group 0"):
        await summarize([["a"]], 0, ask, num_prompts=10, seed=1)
