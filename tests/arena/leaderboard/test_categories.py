"""Which votes are in which category, and what is said where that cannot be told."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fastchat.arena.leaderboard.categories import Sources, available, categories_of, members_of
from fastchat.arena.leaderboard.categories.label_file import Label, digest_of, open_labels
from fastchat.arena.leaderboard.categories.rules_file import builtin_rules, read_rules
from fastchat.arena.leaderboard.votes import VoteTable, table
from fastchat.core.errors import SetupError


def votes(talks: Sequence[Sequence[str] | None], **columns: Sequence[Any]) -> VoteTable:
    """A vote for each talk: question, answer, question, … None: its text is not kept."""
    count = len(talks)
    roles = ("user", "assistant")
    conversations = [
        None if talk is None else [{"role": roles[at % 2], "content": text} for at, text in enumerate(talk)]
        for talk in talks
    ]
    given: dict[str, Any] = {"model_a": ["gpt-4"] * count, "model_b": ["vicuna"] * count, "outcome": [0] * count}
    given |= {"conv_a": conversations, "conv_b": conversations}
    given |= columns
    return table(given)


def bare(**columns: Sequence[Any]) -> VoteTable:
    """Votes without texts."""
    count = len(next(iter(columns.values())))
    given: dict[str, Any] = {"model_a": ["a"] * count, "model_b": ["b"] * count, "outcome": [0] * count}
    given |= columns
    return table(given)


def found(table: VoteTable, name: str, sources: Sources = Sources()) -> list[bool]:  # noqa: B008
    mask: list[bool] = categories_of(table, [name], sources)[name].to_list()
    return mask


@pytest.mark.parametrize("name", ["code", "coding", "Code"])
def test_code_is_told_by_question_or_answer(name: str) -> None:
    table = votes(
        [
            ["Write a Python script that sorts a list.", "Sure."],
            ["How do I do this?", "Like so:\n```python\nprint(1)\n```"],
            ["Who was Charles V?", "An emperor."],
            ["Draw a cat in ASCII.", "```\n /\\_/\\ \n```"],
        ]
    )
    assert found(table, name) == [True, True, False, False]


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("math", "Prove that the sum of two even integers is even.", "Who painted this?"),
        ("maths", "解方程 x^2 = 4", "Tell me about Kant."),
        ("creative_writing", "Write a short poem about the sea.", "What is the capital of Peru?"),
        ("creative-writing", "Напиши рассказ о зиме", "Как дела?"),
        ("instruction_following", "Describe Rome in exactly 20 words.", "Describe Rome."),
        ("if", "Answer only with yes or no: is water wet?", "Is water wet?"),
        ("exclude_short", "What is the tallest mountain of Europe?", "hi"),
        ("long_query", "word " * 500, "word " * 100),
    ],
)
def test_rules_go_by_what_was_asked(name: str, inside: str, outside: str) -> None:
    assert found(votes([[inside, "A."], [outside, "A."]]), name) == [True, False]


@pytest.mark.parametrize(
    "refusal",
    [
        "I'm sorry, but I can't assist with that.",
        "I cannot fulfill this request, since it asks for harmful content.",
        "As an AI language model, I do not have opinions.",
    ],
)
def test_refusals_are_those_of_either_answer(refusal: str) -> None:
    table = votes([["Do it.", "Here you are."], ["Do it.", refusal], ["I'm sorry, but I can't swim.", "Learn it!"]])
    assert found(table, "exclude_refusal") == [True, False, True]


def test_turns_and_ties_need_no_texts() -> None:
    table = bare(turn=[1, 2, 3, None], outcome=[0, 1, 2, 3])
    assert found(table, "multi_turn") == [False, True, True, False]
    assert found(table, "exclude_ties") == [True, True, False, False]
    assert found(table, "overall") == found(table, "full") == [True] * 4


def test_turns_are_counted_where_no_column_says_them() -> None:
    assert found(votes([["q", "a"], ["q", "a", "q", "a"], None]), "multi_turn") == [False, True, False]


def test_fastchats_long_goes_by_the_longer_side() -> None:
    short, long = [{"role": "user", "content": "Go on."}], [{"role": "assistant", "content": "word " * 800}]
    table = bare(conv_a=[short, short], conv_b=[short + long, short])
    assert found(table, "long") == [True, False]


def test_a_vote_whose_text_is_not_kept_is_in_no_category_of_texts() -> None:
    table = votes([None, ["Write a poem.", "Roses …"]])
    assert found(table, "creative_writing") == [False, True]
    assert found(table, "exclude_refusal") == [False, True]
    assert found(table, "exclude_short") == [False, False]


def test_a_table_without_votes_or_without_a_known_language_has_empty_categories() -> None:
    everything = [name for name in available() if name not in ("hard", "english, german, …")]
    none = votes([["Hello there, my friend", "a"]]).where(pl.lit(False))
    assert all(mask.to_list() == [] for mask in categories_of(none, [*everything, "de"]).values())
    assert found(bare(language=["unknown", None]), "de") == [False, False]
    assert found(votes([["42", "a"], None]), "de") == [False, False]


def test_values_of_the_category_column_are_categories() -> None:
    table = bare(category=["legal", "code", None])
    assert found(table, "legal") == [True, False, False]
    assert found(table, "code") == [False, True, False]  # the table's own word goes before our rule
    assert {"legal", "code", "hard", "multi_turn"} <= set(available(table))


@pytest.mark.parametrize("name", ["english", "English", "en"])
def test_languages_go_by_the_column_however_it_calls_them(name: str) -> None:
    table = bare(language=["English", "en-GB", "German", "unknown", None])
    assert found(table, name) == [True, True, False, False, False]


TAGS = [
    {"criteria_v0.1": {"specificity": True, "complexity": True}, "math_v0.1": {"math": True}},
    {"criteria_v0.1": dict.fromkeys(("a", "b", "c", "d", "e", "f"), True), "math_v0.1": {"math": False}},
    None,
]


def test_fastchats_labels_are_read_and_go_before_rules() -> None:
    import json

    for tags in (TAGS, [None if tag is None else json.dumps(tag) for tag in TAGS]):
        columns: Mapping[str, Any] = {"category_tag": tags}
        table = votes([["hi", "a"], ["Prove that 1 + 1 = 2", "a"], ["Prove it, by induction", "a"]], **columns)
        assert found(table, "hard") == [False, True, False]
        assert found(table, "math") == [True, False, False]
        assert "1 votes have no label" in members_of(table, ["hard"])["hard"].how


def test_labels_of_a_file_are_looked_up_by_the_text(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    with open_labels(file) as labels:
        labels.add(Label("math", "m", digest_of("How many?"), {"math": True}))
        labels.add(Label("topic", "t", digest_of("First question"), {"topic": "tea, pots"}))
    table = votes([["How  many?\n", "a"], ["First question", "a", "Second", "b"], ["Else", "a"]])
    sources = Sources(labels=[file])
    assert found(table, "maths", sources) == [True, False, False]
    assert found(table, "tea, pots", sources) == [False, True, False]
    assert found(table, "math") == [False, False, False]  # the rule, without the file


def test_hard_prompts_need_labels() -> None:
    with pytest.raises(SetupError, match=r"'hard' cannot be told.*fastchat topics label"):
        categories_of(votes([["Prove it.", "a"]]), ["hard"])


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(SetupError) as refused:
        categories_of(bare(category=["legal"]), ["nonsense"])
    assert "There is no category 'nonsense'" in refused.value.message
    for name in ("legal", "code", "hard", "exclude_ties", "english"):
        assert name in refused.value.message


def test_missing_columns_are_named() -> None:
    with pytest.raises(SetupError, match=r"'code' cannot be told.*conv_a, conv_b"):
        categories_of(bare(category=["x"]), ["code"])


def test_every_rule_of_ours_says_what_it_is() -> None:
    for name, rule in builtin_rules().items():
        assert rule.about, name
        assert available()[name] == rule.about


OWN = """
categories:
  contracts:
    title: Contracts
    prompt: {any: ['\\bcontract', 'vertrag'], none: ['draft']}
    languages: [english, de]
  late:
    match: any
    min_turns: 3
    models: ["vic*"]
  from the app:
    where: {source: app, rank: 2, mobile: true}
"""


def rules(tmp_path: Path, text: str) -> Sources:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    return Sources(rules=read_rules(file))


def test_own_rules_combine_conditions(tmp_path: Path) -> None:
    table = votes(
        [["Is this CONTRACT void?", "a"], ["A draft contract", "a"], ["Is this contract void?", "a"], ["Else", "a"]],
        language=["en", "en", "fr", "en"],
        turn=[1, 3, 1, 5],
        source=["app", "app", "web", None],
        rank=[2, 3, 2, 2],
        mobile=[True, True, True, None],
    )
    sources = rules(tmp_path, OWN)
    assert found(table, "contracts", sources) == [True, False, False, False]
    assert found(table, "late", sources) == [True] * 4
    assert found(table, "from the app", sources) == [True, False, False, False]
    assert "contracts" in available(table, sources)


def test_own_rules_go_before_ours(tmp_path: Path) -> None:
    sources = rules(tmp_path, "categories:\n  code:\n    min_length: 5\n")
    assert found(votes([["Hello", "a"], ["Hi", "a"]]), "code", sources) == [True, False]


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        (r"\bcat\b", "Ärger — CAT!", "a category — ärgerlich"),
        (r"größe\b", "Welche Größe?", "Größenwahn"),
        (r"c:\\bin", r"It is in C:\bin, I think", "It is in c:in, c:/bin"),
        (r"^two$", "one\ntwo\nthree", "one two"),
    ],
)
def test_ends_of_words_and_lines(tmp_path: Path, pattern: str, inside: str, outside: str) -> None:
    sources = rules(tmp_path, f"categories:\n  a:\n    prompt:\n      any: ['{pattern}']\n")
    assert found(votes([[inside, "a"], [outside, "a"]]), "a", sources) == [True, False]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("categories:\n  a:\n    min_turns: 0\n", ":3: categories.a.min_turns: Input should be greater than 0"),
        ("categories:\n  a:\n    title: A\n", ":2: categories.a: it has no condition"),
        ("categories:\n  a:\n    min_turn: 2\n", ":3: categories.a.min_turn: there is no such key; there are: title"),
        (
            "categories:\n  a:\n    prompt:\n      any:\n        - fine\n        - '(['\n",
            ":6: categories.a.prompt.any.1",
        ),
        ("categories:\n  a:\n    prompt: {any: ['x*']}\n", "matches the empty text"),
        ("categories:\n  a:\n    prompt: {}\n", ":3: categories.a.prompt: give expressions"),
        ("categories:\n  a:\n    languages: [klingonish]\n", "'klingonish' is no language"),
        ("categories:\n  overall:\n    min_turns: 2\n", "'overall' is the name of all votes"),
        ("rules: {}\n", ":1: rules: there is no such key; there are: categories"),
        ("- a\n", ":1: it should begin with 'categories:'"),
        ("a: b: c\n", "are not YAML"),
    ],
)
def test_a_mistake_in_a_rule_is_named_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SetupError) as refused:
        rules(tmp_path, text)
    assert complaint in refused.value.message
    assert "own.yaml" in refused.value.message


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    sources = rules(tmp_path, "categories:\n  a:\n    where: {nowhere: 1}\n")
    with pytest.raises(
        SetupError, match=r"'a' cannot be told. It goes by the column 'nowhere'; the votes have: .*outcome"
    ):
        found(bare(turn=[1]), "a", sources)
