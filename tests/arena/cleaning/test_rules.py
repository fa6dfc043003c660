"""Each rule drops what it says, and only that."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from fastchat.arena.cleaning import pairings, texts, voters
from fastchat.arena.cleaning.rules import Rule, clean, required
from fastchat.arena.identity import names_itself
from fastchat.arena.leaderboard.votes import VoteTable
from fastchat.arena.records import Mark
from fastchat.core.errors import SetupError
from tests.arena.cleaning.votes import said, talk, votes


def _dropped(table: VoteTable, rule: Rule) -> list[int]:
    """Rows."""
    numbered = VoteTable(table.frame.with_row_index("row"))
    kept = clean(numbered, [required(rule)]).table.frame["row"].to_list()
    return [row for row in range(len(table)) if row not in kept]


DAY = 86400.0

PLAIN: list[tuple[str, Rule, dict[str, Sequence[Any]], list[int]]] = [
    ("self-play", pairings.self_play(), {"model_a": ["a", "b"], "model_b": ["b", "b"]}, [1]),
    ("missing names", pairings.missing_names(), {"model_a": ["a", " ", "a"], "model_b": ["b", "b", ""]}, [1, 2]),
    ("anonymous", pairings.anonymous_only(), {"anony": [True, False, None]}, [1, 2]),
    (
        "excluded",
        pairings.excluded_models(["c", "gpt-*"]),
        {"model_a": ["a", "c", "a"], "model_b": ["b", "b", "gpt-4"]},
        [1, 2],
    ),
    ("excluded nobody", pairings.excluded_models(["z"]), {"model_a": ["a"]}, []),
    ("repeated", pairings.repeated_votes(), {"question_id": ["x", "y", "x", None, None]}, [2]),
    ("repeated by others", pairings.repeated_votes(), {"question_id": ["x", "x"], "voter": ["v", "w"]}, []),
    ("repeated of others", pairings.repeated_votes(), {"question_id": ["x", "x"], "model_a": ["a", "c"]}, []),
    ("first by time", pairings.repeated_votes(), {"question_id": ["x", "x"], "tstamp": [2.0, 1.0]}, [0]),
    (
        "marked",
        pairings.marked(Mark.EDITED),
        {"marks": [["edited"], [], None, ["regenerated", "edited"]]},
        [0, 3],
    ),
    ("banned", voters.banned_voters(["1.2.3.4", "w"]), {"voter": ["arena_user_1.2.3.4", "w", "v", None]}, [0, 1]),
    (
        "daily cap",
        voters.daily_cap(2),
        {"voter": ["v", "v", "v", "w", "v", None, None, None], "tstamp": [3.0, 1.0, 2.0, 4.0, DAY, 1.0, 1.0, 1.0]},
        [0],
    ),
    ("hasty", voters.hasty(2), {"dwell_s": [1.9, 2.0, None]}, [0]),
]


@pytest.mark.parametrize(("rule", "columns", "dropped"), [row[1:] for row in PLAIN], ids=[row[0] for row in PLAIN])
def test_rule_on_plain_columns(rule: Rule, columns: dict[str, Sequence[Any]], dropped: list[int]) -> None:
    assert _dropped(votes(1, **columns), rule) == dropped


TEXTUAL: list[tuple[str, Rule, VoteTable, list[int]]] = [
    ("names itself", texts.names_its_model(), said("I am Claude, made by Anthropic.", "Claude Monet painted it."), [0]),
    ("in disguise", texts.names_its_model(), said("I am Ｃｌａｕｄｅ.", "I am \u200bGP\u200bT-4."), [0, 1]),
    ("words", texts.identity_words(), said("It grew llamas.", "Napalm burns.", "Tülus", "It is scattered."), [0, 1, 2]),
    ("errors", texts.error_banners(), said("**api request error** Reason: none", "An API request failed."), [0]),
    ("unfinished", texts.unfinished_answers(), said("It is ▌", 'So <span class="cursor">', "It is."), [0, 1]),
    ("missing", texts.missing_answers(), said("", " \n", "It is."), [0, 1]),
    ("refused", texts.refused(), said("I'm sorry, but I can't help with that request.", "I am sorry to hear it."), [0]),
]


@pytest.mark.parametrize(("rule", "table", "dropped"), [row[1:] for row in TEXTUAL], ids=[row[0] for row in TEXTUAL])
def test_rule_on_texts(rule: Rule, table: VoteTable, dropped: list[int]) -> None:
    assert _dropped(table, rule) == dropped


@pytest.mark.parametrize(
    "rule",
    [
        texts.names_its_model(),
        texts.identity_words(),
        texts.error_banners(),
        texts.unfinished_answers(),
        texts.missing_answers(),
        texts.refused(),
        texts.too_short(5),
        texts.duplicate_prompts(0.5),
    ],
    ids=lambda rule: rule.name,
)
def test_votes_without_their_text_stay(rule: Rule) -> None:
    kept = said("It is.", "It is.")
    table = VoteTable(
        kept.frame.with_columns(
            conv_a=pl.lit(None, kept.frame["conv_a"].dtype), conv_b=pl.lit(None, kept.frame["conv_b"].dtype)
        )
    )
    assert _dropped(table, rule) == []


def test_a_conversation_without_an_answer_is_missing_one() -> None:
    table = votes(conv_a=[talk("Why?"), talk("Why?", "So."), []], conv_b=[talk("Why?", "So.")] * 3)
    assert _dropped(table, texts.missing_answers()) == [0, 2]


def test_questions_do_not_give_a_model_away() -> None:
    table = said("Nobody knows.", question="I am Claude. Are you ChatGPT?")
    assert _dropped(table, texts.names_its_model()) == []
    assert _dropped(table, texts.identity_words()) == [0]


def test_models_of_the_table_are_known_by_name() -> None:
    table = votes(
        model_a=["zorblax-7b", "other"],
        model_b=["b", "b"],
        conv_a=[talk("Who?", "My name is Zorblax."), talk("Who?", "My name is Peter.")],
        conv_b=[talk("Who?", "Nobody.")] * 2,
    )
    assert _dropped(table, texts.names_its_model()) == [0]


def test_what_the_arena_has_searched_is_not_searched_again() -> None:
    leaking = said("I am Claude.", "I am Claude.")
    table = VoteTable(leaking.frame.with_columns(marks=pl.Series([[], None], dtype=pl.List(pl.String))))
    assert _dropped(table, texts.names_its_model()) == [1]


def test_the_quick_search_finds_whatever_the_close_one_does() -> None:
    answers = [
        "I am GPT4.", "I’m “Chat GPT”", "我是通义千问", "Ich bin ein Sprachmodell von OpenAI.", "As Claude, I think.",
        "I was trained by **Meta**", "je suis un modèle d'OpenAI", "I am o1-mini", "Llama 3 here", "I am ChatGPT",
        "my name is\nGemini", "안녕하세요, 저는 챗GPT입니다", "I am the Gemini model", "You are talking to DeepSeek.",
    ]  # fmt: skip
    named = [answer for answer in answers if names_itself(answer, ["a", "b"])]

    assert len(named) > 10
    assert _dropped(said(*named), texts.names_its_model()) == list(range(len(named)))


def test_languages_by_column_and_by_text() -> None:
    assert _dropped(
        votes(language=["English", "de", "French", None]), texts.other_languages(["english", "German"])
    ) == [
        2,
        3,
    ]
    asked = [
        talk("Why is the sky blue during the day, and red in the evening?", "So."),
        talk("Warum ist der Himmel am Tag blau und am Abend rot?", "So."),
    ]
    assert _dropped(votes(conv_a=asked, conv_b=asked), texts.other_languages(["en"])) == [1]


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(SetupError, match="'klingonish' is no language"):
        texts.other_languages(["klingonish"])


def test_short_questions() -> None:
    table = votes(conv_a=[talk("hi  ", "Hello."), talk("hi", "Hello.", "and?", "So.")], conv_b=[talk("hi", "Hey.")] * 2)
    assert _dropped(table, texts.too_short(5)) == [0]


def test_frequent_prompts_are_thinned_out_and_always_alike() -> None:
    asked = ["Hi!"] * 30 + ["hi"] * 30 + [f"Question {number}" for number in range(40)]
    talks = [talk(question, "So.") for question in asked]
    table = votes(conv_a=talks, conv_b=talks)

    first = _dropped(table, texts.duplicate_prompts(0.99))

    # Of the counts 60 and forty times 1, the quantile .99 lies at 1 + 0.6 · 59 = 36.4.
    assert len(first) == 60 - 36
    assert max(first) < 60
    assert first == _dropped(table, texts.duplicate_prompts(0.99))
    assert first != _dropped(table, texts.duplicate_prompts(0.99, seed=1))


def test_nothing_is_cut_off_where_all_prompts_are_different() -> None:
    talks = [talk(f"Question {number}", "So.") for number in range(5)]
    assert _dropped(votes(conv_a=talks, conv_b=talks), texts.duplicate_prompts()) == []


@pytest.mark.parametrize("mark", list(Mark))
def test_every_mark_of_the_arena_can_be_a_rule(mark: Mark) -> None:
    table = votes(marks=[[mark.value], []])
    assert _dropped(table, pairings.marked(mark)) == [0]
