import codecs
import json
import os
import pickle
import pickletools
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.web import inert_pickle
from fastchat.web.result_files import Results, read_results

DATA = Path(__file__).parent.parent / "data" / "leaderboard"  # written by pandas 1.5.3 and 2.2.2, with Plotly figures


def result(**ratings: float) -> dict[str, Any]:
    rows = [
        {"model": name.replace("_", "-"), "rating": rating, "rating_q025": rating - 5, "rating_q975": rating + 6}
        | {"num_battles": 500, "variance": 2.5, "final_ranking": 1}
        for name, rating in ratings.items()
    ]
    return {"leaderboard_table_df": rows, "last_updated_datetime": "2024-01-02", "rating_system": "bt"}


def written(folder: Path, content: bytes | str, name: str = "results") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_fastchats_pickle_with_groups() -> None:
    found = read_results(DATA / "elo_results_pandas_1.pkl")
    assert [one.id for one in found.categories] == [
        "text.full", "text.coding", "text.full_style_control", "vision.full"
    ]  # fmt: skip
    best = found.categories[0].ratings[0]
    assert best.model == "gpt-4o"
    assert best.rating == pytest.approx(1116.097348)
    assert (best.low, best.high) == pytest.approx((1108.597348, 1124.097348))
    assert best.battles == 800
    assert found.categories[0].updated == "2024-11-03 20:01:40 PST"


def test_fastchats_pickle_without_groups() -> None:
    flat, grouped = (read_results(DATA / f"elo_results_pandas_{version}.pkl").categories for version in (2, 1))
    assert flat == grouped[:3]


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_frames_of_this_pandas(protocol: int, storage: str) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    texts = pandas.StringDtype(storage, na_value=float("nan"))
    frame = pandas.DataFrame(
        {"rating": [1000.5, 900.0], "num_battles": [10, 12], "text": ["x", "y"], "few": [True, False]}, ["a", "b"]
    )
    frame["text"] = frame["text"].astype(texts)
    frame.index, frame["gap"] = frame.index.astype(texts), pandas.Series([None, "ü"], frame.index, texts)
    frame["small"] = frame["rating"].astype("float32")
    table = inert_pickle.table_of(inert_pickle.load(pickle.dumps(frame.sort_values("rating"), protocol), "it"))
    assert table is not None
    assert list(table.index) == ["b", "a"]
    assert {name: list(column) for name, column in table.columns.items()} == {
        "rating": [900.0, 1000.5],
        "num_battles": [12, 10],
        "text": ["y", "x"],
        "few": [False, True],
        "gap": ["ü", None if storage == "pyarrow" else pytest.approx(float("nan"), nan_ok=True)],
        "small": [900.0, 1000.5],
    }


def test_json_as_rows_and_as_columns(tmp_path: Path) -> None:
    rows = read_results(written(tmp_path, json.dumps({"full": result(a=1100, b_2=1000)})))
    columns = {"rating": {"a": 1100, "b-2": 1000}, "rating_q025": {"a": 1095, "b-2": 995}}
    columns |= {"rating_q975": {"a": 1106, "b-2": 1006}, "num_battles": {"a": 500, "b-2": 500}}
    other = {"full": {"leaderboard_table_df": columns, "last_updated_datetime": "2024-01-02"}}
    assert read_results(written(tmp_path, json.dumps(other))) == rows
    assert [one.model for one in rows.categories[0].ratings] == ["a", "b-2"]


def test_a_board_of_our_own(tmp_path: Path) -> None:
    nothing = {"votes": 0, "outcomes": {}, "both_bad_share": 0, "models": []}
    board = {"code_version": "1", "built_at": 0, "categories": {"overall": nothing}, "format": "fastchat-board/1"}
    found = read_results(written(tmp_path, json.dumps(board)))
    assert found.board is not None
    assert list(found.board.categories) == ["overall"]
    assert found.categories == ()
    assert not found.is_empty


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": "fastchat-board/2"}, "is no board of the format fastchat-board/1: format"),
        ({"categories": {"overall": {"votes": "many"}}}, r"categories\.overall"),
        ({"script": "<script>"}, "script"),
    ],
)
def test_what_is_no_board_is_refused_in_words(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    board = {"format": "fastchat-board/1", "code_version": "1", "built_at": 0, "categories": {}}
    with pytest.raises(SetupError, match=complaint):
        read_results(written(tmp_path, json.dumps(board | change)))


class _Calls:
    """What a pickle does that runs a program."""

    def __init__(self, function: Any, *args: Any) -> None:
        self._what = function, args

    def __reduce__(self) -> Any:
        return self._what


@pytest.mark.parametrize(
    ("function", "name"), [(os.system, "system"), (eval, "eval"), (getattr, "getattr"), (codecs.open, "open")]
)
def test_a_pickle_that_runs_something_is_refused_and_runs_nothing(tmp_path: Path, function: Any, name: str) -> None:
    trace = tmp_path / "trace"
    call = f"touch {trace}" if function is os.system else f"open({str(trace)!r}, 'w')"
    args = (str(trace), "w") if function is codecs.open else (call,)
    file = written(tmp_path, pickle.dumps({"full": _Calls(function, *args)}))
    with pytest.raises(SetupError, match=rf"asks for \S*{name}, which no table of results needs"):
        read_results(file)
    assert not trace.exists()


def test_what_an_allowed_library_could_do_is_not_done(tmp_path: Path) -> None:
    """`pandas.read_pickle` would open the door again; nothing that is named is ever called."""
    pandas = pytest.importorskip("pandas")
    inner = written(tmp_path, pickle.dumps(_Calls(os.system, f"touch {tmp_path}/trace")), "inner")
    file = written(tmp_path, pickle.dumps({"full": _Calls(pandas.read_pickle, str(inner))} | {"other": 1}))
    with pytest.raises(SetupError, match="has no table of ratings"):
        read_results(file)
    assert not (tmp_path / "trace").exists()


def test_all_that_is_ever_made_is_a_stand_in() -> None:
    content = (DATA / "elo_results_pandas_1.pkl").read_bytes()
    seen: set[type] = set()

    def look(value: Any, depth: int = 0) -> None:
        seen.add(type(value))
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        if isinstance(value, inert_pickle.StandIn):
            inside = [value.args, value.state, value.items]
        for one in inside:
            look(one, depth + 1)

    look(inert_pickle.load(content, "it"))
    plain = {dict, list, tuple, str, bytes, int, float, bool, type(None)}
    assert all(issubclass(kind, inert_pickle.StandIn) or kind is type for kind in seen - plain)
    assert "DataFrame" in str(list(pickletools.genops(content)))


def test_other_containers_are_read(tmp_path: Path) -> None:
    kinds = OrderedDict(full=defaultdict(list, result(a=1)))
    with pytest.raises(SetupError, match="has no table of ratings"):  # a defaultdict inside is no plain result
        read_results(written(tmp_path, pickle.dumps(kinds)))
    ordered = OrderedDict(full=result(a=1))
    assert read_results(written(tmp_path, pickle.dumps(ordered))).categories[0].ratings[0].model == "a"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "damaged or no pickle"),
        (b"\x80\x04garbage", "damaged or no pickle"),
        (b"{not json", "is not JSON"),
        (b"[1]", "damaged or no pickle"),
        (b"{}", "has no table of ratings"),
        (pickle.dumps([1]), "holds no categories"),
        (json.dumps({"full": {"leaderboard_table_df": 3}}).encode(), "written by a pandas"),
        (json.dumps({"full": {"leaderboard_table_df": [{"model": "a"}]}}).encode(), r"category 'full': rating"),
        (b'{"full": {"leaderboard_table_df": [{"model": "a", "rating": "NaN"}]}}', r"category 'full': rating"),
    ],
)
def test_what_is_no_result_is_refused_in_words(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint):
        read_results(written(tmp_path, content))


def test_the_table_of_models() -> None:
    facts = read_results(table=DATA / "leaderboard_table.csv").facts
    assert facts is not None
    assert list(facts) == ["gpt-4o", "vicuna-13b", "koala-13b"]
    assert facts["gpt-4o"].name == "GPT-4o"
    assert facts["gpt-4o"].mt_bench is None  # "-"
    assert facts["vicuna-13b"].mmlu == 0.558
    assert facts["gpt-4o"].safe_link == "https://openai.com/index/hello-gpt-4o/"
    assert facts["koala-13b"].safe_link is None  # javascript:


def test_arena_hard() -> None:
    hard = read_results(hard=DATA / "arena_hard.csv").hard
    assert hard is not None
    assert (hard[0].model, hard[0].score, hard[0].low, hard[0].tokens) == ("gpt-4o", 79.2, 77.4, 696)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"key,Name\na,b\n", "has no column 'Model'"),
        (b"key,Model,MMLU\na,b,many\n", "line 2: MMLU"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_wrong_table_is_refused_in_words(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint):
        read_results(table=written(tmp_path, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"nowhere\.pkl cannot be read: No such file"):
        read_results(tmp_path / "nowhere.pkl")


def test_nothing_given_is_nothing() -> None:
    assert read_results() == Results()
    assert read_results().is_empty
