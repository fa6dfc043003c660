"""Votes from files: every form says the same, and what cannot be a vote is refused in words."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastchat.arena.leaderboard.reading import read_votes, stream_counts
from fastchat.arena.leaderboard.vote_columns import outcome_of
from fastchat.arena.leaderboard.votes import (
    ANONYMOUS,
    CATEGORY,
    CONV_A,
    CONV_B,
    DWELL,
    LANGUAGE,
    MARKS,
    MODEL_A,
    MODEL_B,
    OUTCOME,
    PROBABILITY,
    QUESTION,
    TAG,
    TIME,
    TURNS,
    VOTER,
    WEIGHT,
)
from fastchat.core.errors import MissingPackage, SetupError
from fastchat.ranking.comparisons import Outcome
from fastchat.ranking.counts import Counts

polars = pytest.importorskip("polars")

Row = dict[str, Any]

VOTES: list[Row] = [
    {"model_a": "gpt-4", "model_b": "vicuna, 13b", "winner": "model_a", "judge": "u1", "tstamp": 1700000000.1234,
     "anony": True, "turn": 1, "weight": 0.5, "task": "t2i", "prompt": 8, "note": "said “no”"},
    {"model_a": "vicuna, 13b", "model_b": "claude", "winner": "tie (bothbad)", "judge": None, "tstamp": 1700000001,
     "anony": False, "turn": 2, "weight": 2, "task": "edit", "prompt": 9, "note": "two\nlines"},
    {"model_a": "claude", "model_b": "claude", "winner": "tie", "judge": "u1", "tstamp": 1700000002.5,
     "anony": True, "turn": 1, "weight": 1, "task": "t2i", "prompt": 8, "note": ""},
    {"model_a": "claude", "model_b": "gpt-4", "winner": "model_b", "judge": "u2", "tstamp": 1700000003.75,
     "anony": True, "turn": 3, "weight": 1.25, "task": "t2i", "prompt": 10, "note": None},
]  # fmt: skip
DECIDED = {"model_a": "a", "model_b": "b", "winner": "model_a"}


def as_csv(rows: Sequence[Row], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_lines(rows: Sequence[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_parquet(rows: Sequence[Row]) -> bytes:
    file = io.BytesIO()
    polars.DataFrame(rows, strict=False).write_parquet(file)
    return file.getvalue()


FORMS: Mapping[str, Callable[[Sequence[Row]], bytes]] = {
    "votes.csv": as_csv,
    "votes.tsv": lambda rows: as_csv(rows, "\t"),
    "semicolons.csv": lambda rows: as_csv(rows, ";"),
    "byte_order_mark.csv": lambda rows: b"\xef\xbb\xbf" + as_csv(rows),
    "votes.jsonl": as_lines,
    "lines.json": as_lines,
    "list.json": lambda rows: json.dumps(rows, indent=2).encode(),
    "list.jsonl": lambda rows: json.dumps(rows).encode(),
    "object.json": lambda rows: json.dumps({"about": "votes", "votes": rows}).encode(),
    "pretty.json": lambda rows: json.dumps({"battles": rows}, indent=1).encode(),
    "votes.parquet": as_parquet,
    "no_ending": as_lines,
}


def written(folder: Path, name: str, rows: Sequence[Row]) -> Path:
    file = folder / name
    data = FORMS[name.removesuffix(".gz")](rows)
    file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return file


def lines_in(folder: Path, *rows: Row) -> Path:
    file = folder / "votes.jsonl"
    file.write_bytes(as_lines(rows))
    return file


@pytest.mark.parametrize("packing", ["", ".gz"])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same(tmp_path: Path, name: str, packing: str) -> None:
    file = written(tmp_path, name + packing, VOTES)
    table = read_votes([file])
    assert table.models == ("claude", "gpt-4", "vicuna, 13b")
    assert table.frame.to_dict(as_series=False) == {
        MODEL_A: ["gpt-4", "vicuna, 13b", "claude", "claude"],
        MODEL_B: ["vicuna, 13b", "claude", "claude", "gpt-4"],
        OUTCOME: [Outcome.LEFT, Outcome.BOTH_BAD, Outcome.TIE, Outcome.RIGHT],
        WEIGHT: [0.5, 2, 1, 1.25],
        VOTER: ["u1", None, "u1", "u2"],
        TIME: [1700000000.1234, 1700000001, 1700000002.5, 1700000003.75],
        ANONYMOUS: [True, False, True, True],
        TURNS: [1, 2, 1, 3],
    }
    assert table.source["votes_sha256"] == read_votes([lines_in(tmp_path, *VOTES)]).source["votes_sha256"]
    assert table.source["files"][0]["name"] == file.name
    assert table.source["votes"] == table.source["files"][0]["votes"] == 4


@pytest.mark.parametrize("name", FORMS)
def test_counts_are_the_same_without_holding_the_votes(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, name, VOTES)
    table = read_votes([file])
    whole = Counts.of(table.where(table.frame[MODEL_A] != table.frame[MODEL_B]).comparisons())
    streamed = stream_counts([file], rows_at_once=1)
    assert streamed.digest == whole.digest
    assert streamed.is_weighted
    assert streamed.number == 3  # a model against itself is no comparison


def test_votes_of_no_weight_are_not_streamed(tmp_path: Path) -> None:
    file = written(tmp_path, "votes.jsonl", [DECIDED | {"weight": 0}, DECIDED | {"weight": 2}])
    assert stream_counts([file]).number == 1


def test_the_digest_is_of_what_votes_say_in_their_order(tmp_path: Path) -> None:
    def digest(*rows: Row) -> str:
        return str(read_votes([lines_in(tmp_path, *rows)]).source["votes_sha256"])

    plain = digest(*VOTES)
    assert digest(*({**row, "note": "other"} for row in VOTES)) == plain
    assert digest(*({"when": 1, **row} for row in VOTES)) == plain
    assert digest(*reversed(VOTES)) != plain
    for column, value in {"winner": "tie", "judge": "u3", "weight": 3, "tstamp": 5, "anony": False, "turn": 7}.items():
        assert digest({**VOTES[0], column: value}, *VOTES[1:]) != plain, column
    assert digest({**VOTES[0], "judge": "u1u1"}, *VOTES[1:2], {**VOTES[2], "judge": ""}) != digest(*VOTES[:3])


@pytest.mark.parametrize("name", ["votes.csv", "votes.jsonl", "list.json", "votes.parquet"])
@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"task": "t2i"}, [0, 2, 3]),
        ({"prompt": "8"}, [0, 2]),
        ({"prompt": "8.0"}, [0, 2]),
        ({"anony": "true"}, [0, 2, 3]),
        ({"anony": "False"}, [1]),
        ({"task": "t2i", "judge": "u1"}, [0, 2]),
        ({"winner": "model_b"}, [3]),
        ({"tstamp": "1700000001"}, [1]),
    ],
)
def test_where_compares_as_text_or_number(tmp_path: Path, name: str, where: dict[str, str], kept: list[int]) -> None:
    table = read_votes([written(tmp_path, name, VOTES)], where=where)
    assert table.frame[TIME].to_list() == [VOTES[row]["tstamp"] for row in kept]


@pytest.mark.parametrize("name", ["votes.csv", "votes.jsonl", "list.json", "votes.parquet"])
def test_columns_have_other_names(tmp_path: Path, name: str) -> None:
    rows = [{"left": 97, "right": "b", "verdict": "right", "worker": 5, "judge": "x", "batch": "p"}]
    columns = {"model_a": "left", "model_b": "right", "winner": "verdict", "voter": "worker", "category": "batch"}
    table = read_votes([written(tmp_path, name, rows)], columns=columns)
    assert table.frame.row(0, named=True) == {MODEL_A: "97", MODEL_B: "b", OUTCOME: 1, VOTER: "5", CATEGORY: "p"}


@pytest.mark.parametrize(
    ("label", "outcome"),
    [
        *[(label, Outcome.LEFT) for label in ("model_a", "Model A", "left", "LEFT", "leftvote")],
        *[(label, Outcome.RIGHT) for label in ("model_b", "right", "rightvote")],
        *[(label, Outcome.TIE) for label in ("tie", "Tie", "tievote")],
        *[(label, Outcome.BOTH_BAD) for label in ("tie (bothbad)", "bothbad", "both_bad", "Both bad", "bothbad_vote")],
        *[(label, None) for label in ("", "a", "gpt-4", "ties", "modela model_b", "0", "model_c")],
    ],
)
def test_spellings_of_outcomes(label: str, outcome: Outcome | None) -> None:
    assert outcome_of(label) is outcome


def test_what_our_exports_and_the_successors_of_fastchat_write(tmp_path: Path) -> None:
    row = {
        **DECIDED,
        "vote_id": "v1",
        "judge_hash": "h",
        "timestamp": "2023-11-14T22:13:20.5Z",
        "probability": 0.25,
        "language": "German",
        "category": "code",
        "marks": ["flagged", "fast"],
        "tokens_a": 12,
        "first_token_s_b": 0.5,
    }
    expected = {
        MODEL_A: "a", MODEL_B: "b", OUTCOME: 0, VOTER: "h", TIME: 1700000000.5, PROBABILITY: 0.25, CATEGORY: "code",
        LANGUAGE: "German", QUESTION: "v1", MARKS: ["flagged", "fast"], "tokens_a": 12.0, "first_token_s_b": 0.5,
    }  # fmt: skip
    for name in ("votes.jsonl", "list.json", "votes.parquet"):
        assert read_votes([written(tmp_path, name, [row])]).frame.row(0, named=True) == expected
    as_text = {**row, "marks": json.dumps(row["marks"])}
    assert read_votes([written(tmp_path, "votes.csv", [as_text])]).frame.row(0, named=True) == expected


@pytest.mark.parametrize("name", ["votes.jsonl", "votes.parquet", "votes.csv"])
def test_labels_and_dwell_times_of_a_row_are_read(tmp_path: Path, name: str) -> None:
    tag: Any = {"math_v0.1": {"math": True}}
    if name.endswith(".csv"):
        tag = json.dumps(tag)
    rows = [DECIDED | {"category_tag": tag, "dwell_s": 2.5}, DECIDED | {"category_tag": tag, "dwell_s": None}]
    votes = read_votes([written(tmp_path, name, rows)])
    assert [json.loads(value) for value in votes.frame[TAG]] == [{"math_v0.1": {"math": True}}] * 2
    assert votes.frame[DWELL].to_list() == [2.5, None]


def test_times_of_parquet_are_dates(tmp_path: Path) -> None:
    dates = polars.Series("tstamp", [1700000000500]).cast(polars.Datetime("ms"))
    for column in (dates, dates.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")):
        polars.DataFrame([DECIDED]).with_columns(column).write_parquet(tmp_path / "votes.parquet")
        assert read_votes([tmp_path / "votes.parquet"]).frame[TIME].to_list() == [1700000000.5]


TALK = [{"role": "user", "content": "hi", "num_tokens": 1}, {"role": "assistant", "content": "“hello”\n"}]
METADATA = {
    "sum_user_tokens": 1,
    "sum_assistant_a_tokens": 5,
    "sum_assistant_b_tokens": 7,
    "header_count_a": {"h1": 1, "h2": 2, "h3": 0, "h4": 0, "h5": 0, "h6": 0},
    "list_count_a": {"ordered": 3, "unordered": 4},
    "bold_count_b": {"**": 1, "__": 0},
}


@pytest.mark.parametrize("name", ["votes.csv", "votes.jsonl", "list.json", "object.json", "votes.parquet"])
def test_conversations_are_read_when_they_are_needed(tmp_path: Path, name: str) -> None:
    row = {**DECIDED, "conversation_a": TALK, "conv_b": TALK[:1], "conv_metadata": METADATA}
    if name == "votes.csv":
        row = {key: value if isinstance(value, str) else json.dumps(value) for key, value in row.items()}
    file = written(tmp_path, name, [row])
    table = read_votes([file])
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "“hello”\n"}]
    assert not {CONV_A, CONV_B} & {*table.frame.columns}
    figures = {"tokens_a": 5, "tokens_b": 7, "headers_a": 3, "lists_a": 7, "bold_b": 1}
    assert {name: table.frame[name].item() for name in table.frame.columns[3:]} == figures
    with_text = read_votes([file], needs={CONV_A, CONV_B})
    assert with_text.frame[CONV_A].to_list() == [said]
    assert with_text.frame[CONV_B].to_list() == [said[:1]]
    assert with_text.source == table.source


PARTS = [{"type": "text", "text": "hi"}, {"type": "image"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [*((name, PARTS) for name in ("votes.jsonl", "list.json", "votes.parquet")), ("list.json", ["hi", ["9e107d9d"]])],
)
def test_of_contents_in_parts_the_texts_are_kept(tmp_path: Path, name: str, content: Any) -> None:
    row = {**DECIDED, "conv_a": [{"role": "user", "content": content}]}
    table = read_votes([written(tmp_path, name, [row])], needs={CONV_A})
    assert table.frame[CONV_A].to_list() == [[{"role": "user", "content": "hi"}]]


def test_json_that_polars_refuses_is_read_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "votes.jsonl"
    file.write_text('{"model_a": "a", "model_b": 5, "winner": "tie", "tstamp": NaN}\n\n' + json.dumps(DECIDED))
    assert read_votes([file]).frame.rows() == [("a", "5", 2), ("a", "b", 0)]
    assert stream_counts([file], rows_at_once=1).number == 2
    (tmp_path / "list.json").write_text(f'[{json.dumps(DECIDED)}, {{"model_a": [1], "model_b": 5, "winner": "tie"}}]')
    assert read_votes([tmp_path / "list.json"]).models == ("5", "[1]", "a", "b")


def test_files_with_different_columns_make_one_table(tmp_path: Path) -> None:
    first = lines_in(tmp_path, {**DECIDED, "model_a": "z", "weight": 3})
    second = written(tmp_path, "votes.parquet", [{**DECIDED, "judge": "u"}])
    table = read_votes([first, second])
    assert table.models == ("a", "b", "z")
    assert table.frame[WEIGHT].to_list() == [3, 1]
    assert table.frame[VOTER].to_list() == [None, "u"]
    comparisons = table.comparisons()
    assert comparisons.left.tolist() == [2, 0]
    assert comparisons.voter is not None
    assert comparisons.voter.tolist() == [-1, 0]
    assert stream_counts([first, second]).digest == Counts.of(comparisons).digest


def test_codes_of_voters_are_the_same_for_the_same_votes(tmp_path: Path) -> None:
    rows = [{**DECIDED, "voter": voter} for voter in ("u9", "u10", "u9", "")]
    table = read_votes([lines_in(tmp_path, *rows)])
    voters = table.comparisons().voter
    assert voters is not None
    assert voters.dtype == np.int32
    assert voters.tolist() == [1, 0, 1, -1]
    assert table.comparisons(voters=False).voter is None


def test_reading_says_which_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastchat.arena.leaderboard.reading.find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="leaderboard"):
        read_votes([Path("votes.csv")])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("votes.csv", "", r"votes\.csv is empty"),
        ("votes.csv", "model_a,model_b,winner\n", r"no vote in .*votes\.csv"),
        ("votes.csv", "model_a,model_b\na,b\n", r"no column winner; .*--columns winner=NAME.* columns: model_a, "),
        ("votes.csv", "model_a,model_b,winner\na,b,tie\na,b,first\n", r"row 2: winner is 'first'.*model_a, model_b"),
        ("votes.csv", "model_a,model_b,winner\na,b,\n", r"row 1: winner is nothing"),
        ("votes.csv", "model_a,model_b,winner\na,,tie\n", r"row 1: model_b is nothing\. .* the name of a model"),
        ("votes.csv", "model_a,model_b,winner\na,b,tie\na,b,tie,x\n", r"line 3 has 4 values; the header has 3"),
        ("votes.csv", "model_a,model_b,winner,weight\na,b,tie,-1\n", r"row 1: weight is '-1'\. .* a number from 0 on"),
        ("votes.csv", "model_a,model_b,winner,weight\na,b,tie,heavy\n", r"row 1: weight is 'heavy'.* from 0 on"),
        ("votes.csv", "model_a,model_b,winner,weight\na,b,tie,1\na,b,tie,\n", r"row 2: weight is nothing"),
        ("votes.csv", "model_a,model_b,winner,weight\na,b,tie,inf\n", r"row 1: weight is 'inf'"),
        ("votes.csv", "model_a,model_b,winner,probability\na,b,tie,1.5\n", r"row 1: probability is '1\.5'.* at most 1"),
        ("votes.csv", "model_a,model_b,winner,tstamp\na,b,tie,noon\n", r"row 1: tstamp is 'noon'.*seconds since 1970"),
        ("votes.csv", "model_a,model_b,winner,anony\na,b,tie,maybe\n", r"row 1: anony is 'maybe'.*true or false"),
        ("votes.csv", "model_a,model_b,winner,turn\na,b,tie,1.5\n", r"row 1: turn is '1\.5'.*whole number"),
        ("votes.jsonl", '{"model_a": "a"}\n', r"has no column model_b; .* Its columns: model_a\."),
        ("votes.jsonl", json.dumps(DECIDED) + "\n\n{model_a}\n", r"line 3 is no JSON"),
        ("votes.jsonl", json.dumps(DECIDED) + '\n["a", "b"]\n', r"line 2 is \['a', 'b'\]\. A vote is an object"),
        ("votes.jsonl", "no JSON at all\n", r"line 1 is no JSON"),
        ("votes.json", '[{"model_a": "a",\n "model_b": }]', r"line 2 is no JSON"),
        ("votes.json", "[]", r"no vote in"),
        ("votes.json", '{"about":\n "votes"}', r"an object with about\. Give a list of votes"),
        ("votes.json", "5", r"has 5\. Give a list of votes"),
        ("votes.json", '[1]', r"vote 1 is 1\. A vote is an object"),
        ("votes.json", "   ", r"line 1 is no JSON"),
        ("votes.csv", b"model_a,model_b,winner\n\xe9,b,tie\n", r"is not in UTF-8"),
        ("votes.jsonl", b'{"model_a": "\xe9"}\n', r"line 1 is no JSON: .*utf-8"),
        ("votes.parquet", "PAR1 is not enough", r"cannot be read as Parquet"),
        ("votes.bin", "\x00\x01", r"neither CSV nor JSON nor Parquet"),
    ],
)  # fmt: skip
def test_what_is_no_vote_is_refused_in_words(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(content)
    only_read_whole = any(column in content for column in (b"probability", b"tstamp", b"anony", b"turn"))
    for read in (read_votes,) if only_read_whole else (read_votes, stream_counts):
        with pytest.raises(SetupError, match=said) as refused:
            read([tmp_path / name])
        assert str(tmp_path / name) in refused.value.message


@pytest.mark.parametrize("name", FORMS)
def test_a_file_that_was_not_packed_to_its_end_is_refused(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, f"{name}.gz", VOTES * 20)
    whole = file.read_bytes()
    for length in (len(whole) - 12, 20):
        file.write_bytes(whole[:length])
        with pytest.raises(SetupError, match="cannot be unpacked"):
            read_votes([file])


def test_the_row_is_that_of_the_file(tmp_path: Path) -> None:
    file = lines_in(tmp_path, *[DECIDED] * 7, {**DECIDED, "winner": "x", "task": "t"}, DECIDED)
    with pytest.raises(SetupError, match="row 8: winner is 'x'"):
        stream_counts([file], rows_at_once=3)
    with pytest.raises(SetupError, match="row 8: winner is 'x'"):
        read_votes([file], where={"task": "t"})


def test_rows_that_are_not_read_may_say_anything(tmp_path: Path) -> None:
    file = lines_in(tmp_path, {**DECIDED, "task": "t"}, {**DECIDED, "winner": "n/a", "weight": -1, "task": "u"})
    with pytest.raises(SetupError):
        read_votes([file])
    (tmp_path / "votes.csv").write_bytes(as_csv([{**DECIDED, "task": "t"}, {**DECIDED, "winner": "n/a", "task": "u"}]))
    assert len(read_votes([tmp_path / "votes.csv"], where={"task": "t"})) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": {"model_a": "model_x"}}, "no column 'model_x', .* read as model_a.*Its columns: model_a"),
        ({"columns": {"voter": "worker"}}, "no column 'worker', which was to be read as voter"),
        ({"columns": {"modell_a": "x"}}, "no column 'modell_a' to be named. Columns of votes: model_a, model_b"),
        ({"where": {"task": "t2i"}}, "no column 'task' to choose votes by"),
        ({"where": {"winner": "tie"}}, "no vote in .* whose winner is 'tie'"),
    ],
)  # fmt: skip
def test_columns_that_are_not_there_are_named(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        read_votes([lines_in(tmp_path, DECIDED)], **options)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no file .*absent\.csv"):
        read_votes([tmp_path / "absent.csv"])
    with pytest.raises(SetupError, match="has no log of FastChat's"):
        read_votes([tmp_path])
    with pytest.raises(SetupError, match="No file"):
        read_votes([])
