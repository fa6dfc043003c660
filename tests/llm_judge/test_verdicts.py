"""Verdicts as FastChat reads them, and what is no verdict."""

import gzip
import json
from pathlib import Path

import jsonschema
import pytest

from fastchat.llm_judge.verdicts import (
    Scale,
    Side,
    Unreadable,
    points_schema,
    ranking_schema,
    rating_schema,
    read_points,
    read_ranking,
    read_rating,
    read_two_ratings,
    read_winner,
    two_ratings_schema,
    winner_schema,
)

PUBLISHED = Path(__file__).parents[1] / "data" / "llm_judge" / "mamba_judgments.jsonl.gz"


def test_published_judgments_are_read_as_fastchat_read_them() -> None:
    with gzip.open(PUBLISHED) as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) == 960
    assert [read_rating(row["judgment"]) for row in rows] == [row["score"] for row in rows]


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("Good. Rating: [[7]]", 7),
        ("[[8.5]]", 8.5),
        ("[[7.]]", 7),
        ("Rating: [6]", 6),
        ("Good. I rate it as a **[6]**.", 6),
        ("Good.\n\n[6]\n", 6),
        ("Items [1] and [2] are wrong. Rating: [[3]]", 3),
        ('The answer says "[[10]]", which is no merit. Rating: [[2]]', 2),
        ("<think>perhaps [[9]]</think>Rating: [[4]]", 4),
        ('{"explanation": "It says [[10]].", "rating": 3}', 3),
        ('```json\n{"explanation": "", "rating": 3.5}\n```', 3.5),
    ],
)
def test_ratings(text: str, rating: float) -> None:
    assert read_rating(text) == rating


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "Rating: 7",
        "[[11]]",
        "[[0]]",
        "[[7]] or rather [[11]]",
        "[[seven]]",
        "$ERROR$",
        "<think>[[9]]",
        "[[9]]</think>",
        '{"explanation": "It says [[10]]',
        '{"explanation": "no number"}',
        '{"rating": "10"}',
        '{"rating": true}',
        "As [3] says, x[7] is read. I cannot rate this. See [2]",
        "Scores differ, but scores[3] is what was asked for.",
        "A list:\n[5]\nis no rating.",
        "[[" + "9" * 50_000,
        '{"rating": NaN}',
        f'{{"rating": {"9" * 400}}}',
        '{"rating": Infinity}',
        '{"rating": [10]}',
    ],
)
def test_what_is_no_rating_is_no_number(text: str) -> None:
    found = read_rating(text)
    assert isinstance(found, Unreadable)
    assert found.reason


def test_the_reason_says_what_is_wrong() -> None:
    assert read_rating("[[11]]") == Unreadable("the rating 11 is not from 1 to 10")
    assert read_rating("[[11]]", Scale(0, 20)) == 11


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("A is better. [[A]]", Side.A),
        ("[[B]]", Side.B),
        ("[[C]]", Side.TIE),
        ("A says [[A]]. Verdict: [[B]]", Side.B),
        ("<think>[[A]] or [[B]] or [[C]]?</think>[[A]]", Side.A),
        ('{"explanation": "[[A]]", "winner": "tie"}', Side.TIE),
    ],
)
def test_winners(text: str, side: Side) -> None:
    assert read_winner(text) is side


@pytest.mark.parametrize(
    "text",
    [
        "A is better.",
        "[A]",
        "[[D]]",
        "",
        '{"winner": "C"}',
        '{"winner": ["A"]}',
        "{}",
        '"[[A]]" if A is better, "[[B]]" if B is better, "[[C]]" for a tie',
    ],
)
def test_what_names_no_winner(text: str) -> None:
    assert isinstance(read_winner(text), Unreadable)


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("[[8,6]]", Side.A),
        ("[[8.0, 8.5]]", Side.B),
        ("[[8, 8.1]]", Side.TIE),
        ("[7,3]", Side.A),
        ("It says [[10,1]]. I say [[2,9]]", Side.B),
        ('{"rating_a": 3, "rating_b": 3}', Side.TIE),
    ],
)
def test_two_ratings(text: str, side: Side) -> None:
    assert read_two_ratings(text) is side


@pytest.mark.parametrize(
    "text",
    ["[[8]]", "It returns [1, 2].", "[[8,60]]", "[[0,5]]", '{"rating_a": 3}', '{"rating_a": "x", "rating_b": 3}'],
)
def test_what_is_not_two_ratings(text: str) -> None:
    assert isinstance(read_two_ratings(text), Unreadable)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("1. [[yes]]\n2. [[no]]", (True, False)),
        ("It is polite.\n**1.** [[Yes]]\nIt is long.\n2: [[NO]]", (True, False)),
        ("1. [[yes]] 2. [[no]] On second thought: 1. [[no]]", (False, False)),
        ("1. [[yes]] 2. [[no]] 3. [[yes]]", (True, False)),
        ('{"explanation": "1. [[no]]", "points": [true, false]}', (True, False)),
    ],
)
def test_points_of_a_checklist(text: str, points: tuple[bool, ...]) -> None:
    assert read_points(text, 2) == points


@pytest.mark.parametrize(
    "text", ["", "1. [[yes]]", "[[yes]] [[no]]", "1. yes 2. no", '{"points": [true]}', '{"points": [1, 0]}']
)
def test_a_point_that_is_left_out_is_not_met_nor_missed(text: str) -> None:
    assert isinstance(read_points(text, 2), Unreadable)


def test_what_a_schema_allows_is_read() -> None:
    jsonschema.validate(said := {"explanation": "", "rating": 9}, rating_schema())
    assert read_rating(json.dumps(said)) == 9
    for side in Side:
        jsonschema.validate(said := {"explanation": "", "winner": side}, winner_schema())
        assert read_winner(json.dumps(said)) is side
    jsonschema.validate(said := {"explanation": "", "rating_a": 1, "rating_b": 10}, two_ratings_schema())
    assert read_two_ratings(json.dumps(said)) is Side.B
    jsonschema.validate(said := {"explanation": "", "points": [True, False]}, points_schema(2))
    assert read_points(json.dumps(said), 2) == (True, False)


def test_a_schema_allows_nothing_off_the_scale() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"explanation": "", "rating": 11}, rating_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"rating": 9}, rating_schema())


def test_a_number_of_no_point_is_none() -> None:
    assert isinstance(read_points("9" * 50_000 + ". [[yes]]", 1), Unreadable)


@pytest.mark.parametrize(
    ("text", "ranking"),
    [
        ("C is best. [[C > A = B]]", (("C",), ("A", "B"))),
        ("[[C>A>B]]", (("C",), ("A",), ("B",))),
        ("[[A = B = C]]", (("A", "B", "C"),)),
        ("At first [[A > B > C]]. No: [[ B > C > A ]]", (("B",), ("C",), ("A",))),
        ("<think>[[A > B > C]]</think>[[C > B > A]]", (("C",), ("B",), ("A",))),
        ('{"explanation": "[[A > B > C]]", "ranking": [["B"], ["A", "C"]]}', (("B",), ("A", "C"))),
    ],
)
def test_rankings(text: str, ranking: tuple[tuple[str, ...], ...]) -> None:
    assert read_ranking(text, 3) == ranking


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("C is best.", "there is no ranking"),
        ("[[C, A, B]]", "there is no ranking"),
        ("[[C]]", "there is no ranking"),
        ("[[C > A]]", "lacks B"),
        ("[[A > B > C > D]]", "names 'D'"),
        ("[[A > B > C > A]]", "names A twice"),
        ("[[X = Z > Y]]", "names 'X'"),
        ("<think>[[A > B > C]]", "within its thoughts"),
        ('{"ranking": "A > B > C"}', "no list of lists"),
        ('{"ranking": [["A"], [], ["B"], ["C"]]}', "no list of lists"),
        ('{"ranking": [["A", "B"], ["AB"], ["C"]]}', "names 'AB'"),
        ('{"ranking": [["A"], ["B"]]}', "lacks C"),
    ],
)
def test_a_ranking_that_is_not_whole_is_none(text: str, reason: str) -> None:
    found = read_ranking(text, 3)
    assert isinstance(found, Unreadable)
    assert reason in found.reason


def test_a_ranking_by_the_schema_can_be_read() -> None:
    said = {"explanation": "", "ranking": [["B"], ["C", "A"]]}
    jsonschema.validate(said, ranking_schema(3))
    assert read_ranking(json.dumps(said), 3) == (("B",), ("C", "A"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(said | {"ranking": [["D"]]}, ranking_schema(3))
