"""FastChat's own commands: their flags, their file names, and the very files FastChat 0.2.36 wrote."""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastchat.data
from fastchat.data import tokens
from fastchat.data.tokens import Tokenizer
from tests.fastchat_data.talks import sharegpt, write
from tests.fastchat_data.test_parts import Words

Run = Callable[..., str]
FOLDER = Path(fastchat.data.__file__).parent
DOORS = sorted(file.stem for file in FOLDER.glob("*.py") if "run_command(" in file.read_text())


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`python3 -m fastchat.data.NAME …` in a folder of its own, on one core and with a tokenizer of words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(tokens, "load_tokenizer", lambda model: Tokenizer(Words()))

    def called(line: str) -> str:
        name, *argv = line.split()
        monkeypatch.setattr(sys, "argv", [name, *argv])
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return called


def rows(name: str) -> list[Any]:
    found: list[Any] = json.loads(Path(name).read_text("utf-8"))
    return found


def ids(name: str) -> list[str]:
    return [row["id"] for row in rows(name)]


def ten() -> list[Any]:
    return [sharegpt(f"Question number {n}?", f"Answer number {n}.", id=str(n)) for n in range(10)]


@pytest.mark.parametrize("name", DOORS)
def test_every_door_says_what_it_does(run: Run, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(f"{name} --help")
    assert ended.value.code == 0
    assert f"fastchat.data {name}" in capsys.readouterr().out
    assert len(DOORS) == 16


def test_clean_sharegpt_counts_what_fastchat_counted(run: Run) -> None:
    said = ("What is a whale?", "A whale is a mammal.")
    write(
        Path("in.json"),
        [
            sharegpt(*said, id="kept"),
            sharegpt("What is new?", "ChatGPT is.", id="words"),
            sharegpt("Only a question?", id="short"),
            sharegpt("Hi", "Ho", id="tiny"),
            {
                "id": "order",
                "conversations": [{"from": who, "value": "Some words."} for who in ("human", "human", "gpt")],
            },
            sharegpt("Another question?", "Another answer.", id="kept"),
            sharegpt(*said, "More?", "More.", id="value"),
            sharegpt("A question on flights?", "No plane.", id="plugin", plugins=[]),
        ],
    )
    out = run("clean_sharegpt --in in.json --out out.json")
    assert ids("out.json") == ["kept"]
    assert "id value is a value duplication" in out
    assert out.splitlines()[-1] == (
        "total: 8, skip: 7, new: 1, cnt_blocked_words: 1, cnt_parser_error: 0, cnt_wrong_format: 1, cnt_too_short: 2, "
        "cnt_id_duplication: 1, cnt_value_duplication: 1, cnt_plugin: 1"
    )


def test_the_halves_are_fastchats(run: Run) -> None:
    write(Path("talks.json"), ten())
    assert run("split_train_test --in talks.json --ratio 0.7") == "#train: 7, #test: 3\n"
    assert (ids("talks_train.json"), ids("talks_test.json")) == (list("2849167"), list("305"))


def test_the_sample_is_fastchats(run: Run) -> None:
    write(Path("talks.json"), ten())
    assert run("sample --in talks.json --begin 2 --end 6") == "#in: 10, #out: 4\n"
    assert ids("sampled.json") == list("5072")
    run("sample --in talks.json --begin 2 --end 6 --keep-order --out kept.json")
    assert ids("kept.json") == list("2345")
    assert "#out: 0" in run("sample --in talks.json --max-length 5")


def test_long_conversations_are_split(run: Run) -> None:
    said = [f"{'word ' * 20}{n}" for n in range(6)]
    write(Path("talks.json"), [sharegpt(*said, "a last question?", id="c")])
    assert run("split_long_conversation --in talks.json --model-name m --max-length 120") == "#in: 1, #out: 2\n"
    assert [(row["id"], len(row["conversations"])) for row in rows("sharegpt_split.json")] == [("c_0", 4), ("c_4", 2)]


def test_optional_clean(run: Run) -> None:
    german = "Wie geht es dir heute, und was machst du am Abend mit deinen Freunden?"
    write(
        Path("talks.json"), [*ten(), sharegpt(german, german, id="de"), sharegpt("Number?", "0000000000", id="digits")]
    )
    assert run("optional_clean --in talks.json --skip-lang de --reduce-rep") == "#in: 12, #out: 10\n"
    assert ids("sharegpt_clean_skip_de_reduce_rep.json") == ids("talks.json")[:10]


def test_the_small_ones(run: Run) -> None:
    talks = [
        sharegpt("q", "a", "q", "a", id="1", model="gpt4"),
        sharegpt("q", "a\n1. x\n1. y", id="2", model="m"),
        sharegpt("q", "a", id="3"),
    ]
    write(Path("talks.json"), talks)
    assert run("extract_gpt4_only --in talks.json") == "#in: 3, #out: 2\n"
    assert ids("talks_gpt4.json") == ["1", "3"]
    run("extract_single_round --in talks.json --begin 0 --end 1")
    assert [len(row["conversations"]) for row in rows("talks_single.json")] == [2]
    assert "2 contains a wrong format." in run("filter_wrong_format --in talks.json --out talks.json")
    assert run("merge --in talks.json talks_gpt4.json") == "#out: 4\n"
    assert ids("merged.json") == ["1", "3", "1", "3"]
    run("hardcoded_questions")
    assert "Vicuna" in rows("hardcoded.json")[0]["conversations"][1]["value"]
    Path("x.json").write_text('{"ä": [1]}', "utf-8")
    run("pretty_json --in x.json --out y.json")
    assert Path("y.json").read_text("utf-8") == '{\n  "ä": [\n    1\n  ]\n}'
    write(Path("talks.json"), [sharegpt("Say </s>.", "</s>")])
    run("optional_replace --in talks.json --model-name m")
    assert "<|/s|>" in Path("talks.json_replace.json").read_text()
    out = run("inspect_data --in talks.json")
    assert out.splitlines()[1:3] == ["no: 0, id: t", "human: "]


def test_stats_are_printed_as_fastchat_did(run: Run) -> None:
    write(Path("talks.json"), [*ten(), sharegpt("x " * 1500, "y", id="long")])
    out = run("get_stats --in talks.json --model-name m")
    assert out.startswith("#sequence: 0.01 K\n#tokens: 0.00 M\navg. turns: 1.00\navg. prompt length: 139.09\n")
    assert "L0 - 1024: 10\nL1024 - 2048: 1\n" in out


def test_convert_alpaca(run: Run) -> None:
    write(Path("alpaca.json"), [{"instruction": "Add.", "input": "1, 2", "output": "3"}])
    assert run("convert_alpaca --in alpaca.json --out out.json") == "#out: 1\n"
    assert rows("out.json") == [sharegpt("Add.\nInput:\n1, 2", "3", id="alpaca_0")]


def test_prepare_all_makes_the_files_fastchat_made(run: Run) -> None:
    write(Path("set_html.json"), [{**row, "id": f"x{row['id']}"} for row in ten()])
    run("prepare_all --prefix set --model-name m --seq-len 2048")
    assert {file.name for file in Path().iterdir()} == {
        "set_html.json",
        "hardcoded.json",
        *(
            f"set_2048_clean{ending}.json"
            for ending in (
                "", "_lang", "_lang_split", "_lang_split_train", "_lang_split_test", "_lang_split_identity",
                "_lang_split_identity_gpt4", "_lang_split_identity_single",
            )
        ),
    }  # fmt: skip
    assert len(ids("set_2048_clean_lang_split_train.json")) == 9
    assert len(ids("set_2048_clean_lang_split_identity_gpt4.json")) == 9 + len(ids("hardcoded.json"))
