import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastchat.commands import bench
from fastchat.core.errors import SetupError
from fastchat.llm_judge.results import show
from tests.llm_judge.static.text_server import TextServer, serving

pytest.importorskip("lm_eval")

COLOURS = [
    {"question": "What colour is snow?", "choices": ["black", "white"], "answer": 1},
    {"question": "What colour is coal?", "choices": ["black", "white"], "answer": 0},
    {"question": "What colour is grass?", "choices": ["green", "grey"], "answer": 0},
]
CAPITALS = [{"question": "France?", "answer": "Paris"}, {"question": "Japan?", "answer": "Tokyo"}]


@pytest.fixture
async def server() -> AsyncIterator[TextServer]:
    """Right about snow and coal, wrong about grass; knows one capital and calls it by a whole sentence."""
    endings = {"snow?\nAnswer:": " white", "coal?\nAnswer:": " black", "grass?\nAnswer:": " grey"}
    told = {f"What colour is {context}": ending for context, ending in endings.items()}
    async with serving(TextServer(told, {"France?": "Paris\nIt lies on the Seine."})) as running:
        yield running


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    common = {"dataset_path": "json", "test_split": "test", "num_fewshot": 0, "metadata": {"version": 2.0}}
    write_task(
        folder / "tiny_colours.yaml",
        COLOURS,
        common
        | {"output_type": "multiple_choice", "doc_to_text": "{{question}}\nAnswer:", "doc_to_choice": "choices"}
        | {"doc_to_target": "answer", "metric_list": [metric("acc")]},
    )
    write_task(
        folder / "tiny_capitals.yaml",
        CAPITALS,
        common
        | {"output_type": "generate_until", "doc_to_text": "The capital of {{question}}", "doc_to_target": "answer"}
        | {"generation_kwargs": {"until": ["\n"]}, "metric_list": [metric("exact_match")]},
    )
    return folder


def metric(name: str) -> dict[str, object]:
    return {"metric": name, "aggregation": "mean", "higher_is_better": True}


def write_task(file: Path, rows: Sequence[object], fields: dict[str, object]) -> None:
    data = file.with_suffix(".jsonl")
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kwargs = {"data_files": {"test": str(data)}, "cache_dir": str(file.parent / "cache")}
    file.write_text(yaml.safe_dump({"task": file.stem, "dataset_kwargs": kwargs} | fields))


async def run(server: TextServer, tasks: Path, names: str, folder: Path, *more: str) -> None:
    """The command, in a thread, since it has a loop of its own."""
    line = ["static", "--tasks", names, "--include-path", str(tasks), "--output", str(folder)]
    await asyncio.to_thread(bench.main, [*line, "--api-url", server.url, "--model", "m", *more])


def result(folder: Path, task: str) -> Any:
    return json.loads((folder / "static" / f"m.{task}.json").read_text())


async def test_a_server_is_asked_and_its_numbers_stand_beside_those_of_judges(
    server: TextServer, tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    await run(server, tasks, "tiny_colours,tiny_capitals", folder)

    (colours,), (capitals,) = (result(folder, task)["scores"] for task in ("tiny_colours", "tiny_capitals"))
    assert (colours["metric"], colours["value"]) == ("acc", pytest.approx(2 / 3))
    assert colours["error"] == pytest.approx((2 / 9 / 2) ** 0.5)  # of a mean of 3
    assert capitals["value"] == 0.5
    facts = {"version": "2.0", "fewshot": 0, "questions": 3}
    assert result(folder, "tiny_colours")["tasks"] == {"tiny_colours": facts}
    shown = capsys.readouterr().out
    assert "Benchmarks" in shown
    assert "0.667 (" in shown
    assert [row.score.value for row in show(folder).static] == [0.5, pytest.approx(2 / 3)]


async def test_a_server_that_scores_prompts_is_asked_once_an_ending(
    server: TextServer, tasks: Path, tmp_path: Path
) -> None:
    await run(server, tasks, "tiny_colours", tmp_path / "forced")
    server.scores_prompts = True
    server.asked.clear()
    await run(server, tasks, "tiny_colours", tmp_path / "echoed")

    assert server.asked == {"/v1/completions": 1 + 6}  # to find out; three questions of two endings
    assert (
        result(tmp_path / "echoed", "tiny_colours")["scores"] == result(tmp_path / "forced", "tiny_colours")["scores"]
    )


async def test_what_is_done_is_not_run_again(server: TextServer, tasks: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    await run(server, tasks, "tiny_capitals", folder)
    before = server.asked.total()

    await run(server, tasks, "tiny_capitals", folder)
    assert server.asked.total() == before
    with pytest.raises(SetupError, match="--limit None, which is another number"):
        await run(server, tasks, "tiny_capitals", folder, "--limit", "1")


async def test_some_questions_can_be_asked_for_a_trial(
    server: TextServer, tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(server, tasks, "tiny_colours", tmp_path / "out", "--limit", "2")

    assert result(tmp_path / "out", "tiny_colours")["scores"][0]["value"] == 1.0
    shown = capsys.readouterr().out
    assert "not to publish" in shown
    assert "…" not in shown  # no interval from two questions that went alike


async def test_a_server_that_says_what_it_likes_gets_no_number(server: TextServer, tasks: Path, tmp_path: Path) -> None:
    server.heeds_bias = False

    with pytest.raises(SetupError, match="does not heed logit_bias"):
        await run(server, tasks, "tiny_colours", tmp_path / "out")
    assert not (tmp_path / "out" / "static").exists()


async def test_likelihoods_of_a_model_that_is_billed_are_not_had_on_a_budget(
    server: TextServer, tasks: Path, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[[price]]\nmatch = "m"\ninput = 1\noutput = 1\n')

    with pytest.raises(SetupError, match="--budget cannot be kept"):
        await run(server, tasks, "tiny_colours", tmp_path / "out", "--budget", "1", "--prices", str(prices))


@pytest.mark.parametrize(
    ("name", "fields", "complaint"),
    [
        pytest.param(
            *("tiny_colors", None, "has no task 'tiny_colors'. Do you mean .*tiny_colours"),
            marks=pytest.mark.full,  # it is looked for among all tasks of lm-eval, which takes seconds
        ),
        ("gone", {"dataset_kwargs": {"data_files": {"test": "/nowhere/gone.jsonl"}}}, "cannot be loaded: .*gone"),
        ("perplexity", {"output_type": "loglikelihood_rolling"}, "likelihood of whole texts"),
    ],
)
async def test_tasks_that_cannot_be_run_are_told(
    name: str, fields: dict[str, object] | None, complaint: str, server: TextServer, tasks: Path, tmp_path: Path
) -> None:
    if fields is not None:
        file = tasks / f"{name}.yaml"
        base = yaml.safe_load((tasks / "tiny_colours.yaml").read_text())
        file.write_text(yaml.safe_dump(base | {"task": name} | fields))

    with pytest.raises(SetupError, match=complaint):
        await run(server, tasks, name, tmp_path / "out")


async def test_the_hub_out_of_reach_is_told_in_words(
    server: TextServer, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    base = yaml.safe_load((tasks / "tiny_colours.yaml").read_text())
    fields = {"task": "far", "dataset_path": "org/far", "dataset_kwargs": None}
    (tasks / "far.yaml").write_text(yaml.safe_dump(base | fields))

    with pytest.raises(SetupError, match=r"'far' cannot be loaded: .*Hugging Face hub"):
        await run(server, tasks, "far", tmp_path / "out")


@pytest.mark.model
async def test_a_model_loaded_here_is_asked_likewise(tasks: Path, tmp_path: Path) -> None:
    line = ["--tasks", "tiny_colours", "--include-path", str(tasks), "--output", str(tmp_path / "out")]
    await asyncio.to_thread(bench.main, ["static", *line, "--model-path", "builtin", "--model-id", "m"])

    assert result(tmp_path / "out", "tiny_colours")["scores"][0]["value"] > 0.5
