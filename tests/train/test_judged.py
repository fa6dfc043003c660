"""Who wins, while training."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from fastchat.commands import train
from fastchat.core.errors import SetupError, WorkerFailed
from fastchat.train.chat_format import find_format
from fastchat.train.judged import Answering, Judged, undisturbed
from fastchat.train.judged_questions import judged_questions
from fastchat.train.plan import DataChoice
from fastchat.train.win_rate import Pair, Question, win_rate
from tests.llm_judge.endpoint import Endpoint, serving
from tests.train import learnable, small

ASKED = [Question(str(at), [{"role": "user", "content": text}]) for at, text in enumerate(("What is it?", "Who?"))]


@pytest.fixture
def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """By a recipe, with `key=value` over it."""
    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path / "cache"))
    base, talks = learnable.base(tmp_path / "base"), learnable.talks(tmp_path / "talks.json")
    asked = tmp_path / "asked.txt"
    asked.write_text("Is this the user?\nTell me of Vicuna.\nAnd Paris?\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"""
model: {base}
data: {talks}
conv_template: vicuna_v1.1
max_length: 512
global_batch: 4
learning_rate: 1.0e-2
precision: fp32
""")

    def tune(method: str, *values: str) -> Path:
        output = tmp_path / f"output-{len(list(tmp_path.glob('output-*')))}"
        train.main([method, str(recipe), f"output={output}", *values])
        return output

    return tune


def answering(max_tokens: int = 8, batch: int = 2) -> Answering:
    tokenizer = small.llama_tokenizer()
    tokenizer.pad_token = "<unk>"
    return Answering(tokenizer, find_format(str(Path(__file__).parent), tokenizer, "vicuna_v1.1"), max_tokens, batch)


def logged(output: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((output / "trainer_state.json").read_text())["log_history"]
    return entries


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_training_goes_on_as_if_nothing_had_been_asked(tuned: Callable[..., Path], tmp_path: Path) -> None:
    """With dropout, on which a draw too many would tell."""
    usual = ("max_steps=3", "lora.dropout=0.5", "held_out=0.2")
    alone = tuned("lora", *usual)
    judge = ("judge.by=rule:holds:It", f"judge.questions={tmp_path / 'asked.txt'}", "judge.every=1")
    judged = tuned("lora", *usual, *judge, "judge.max_tokens=8")

    def losses(output: Path) -> list[float]:
        return [
            entry.get("loss", entry.get("eval_loss"))
            for entry in logged(output)
            if "eval_loss" in entry or "loss" in entry
        ]

    assert losses(judged) == losses(alone)
    assert len([entry for entry in logged(judged) if "eval_judge_win_rate" in entry]) == 3


def test_who_learned_what_the_judge_likes_wins_against_the_base(tuned: Callable[..., Path], tmp_path: Path) -> None:
    judge = ("judge.by=rule:holds:It is", f"judge.questions={tmp_path / 'asked.txt'}", "judge.max_tokens=12")
    output = tuned("sft", "epochs=8", *judge)
    [entry] = [entry for entry in logged(output) if "eval_judge_win_rate" in entry]  # at the end: nothing is held out
    assert entry["eval_judge_win_rate"] > 0.5
    assert entry["eval_judge_win_rate_low"] < entry["eval_judge_win_rate"] <= entry["eval_judge_win_rate_high"]
    answers = lines(output / "judge" / f"step-{entry['step']}.jsonl")
    assert "It is" in answers[0]["answer"]
    assert answers[0]["base"] == lines(output / "judge" / "base.jsonl")[0]["answer"]


def test_answers_do_not_depend_on_who_is_asked_beside() -> None:
    model = small.llama()
    long = Question("long", [{"role": "user", "content": "Tell me more about it, please. " * 5}])
    together = answering(batch=3).answers(model, [*ASKED, long])
    assert together == [answering().answers(model, [one])[0] for one in (*ASKED, long)]


def test_layers_and_chance_are_as_they_were() -> None:
    model = small.llama().train()
    model.model.layers[0].eval()
    before = [module.training for module in model.modules()]
    torch.manual_seed(1)
    random.seed(1)
    wanted = (torch.rand(1), random.random())
    torch.manual_seed(1)
    random.seed(1)
    with undisturbed(model):
        assert not any(module.training for module in model.modules())
        torch.rand(3), random.random()
    assert [module.training for module in model.modules()] == before
    assert (torch.rand(1), random.random()) == wanted


def test_a_run_that_is_gone_on_with_compares_with_the_same_base(tmp_path: Path) -> None:
    def begun(model: Any) -> Judged:
        judged = Judged(ASKED, answering(), lambda pairs, step: [], tmp_path, print)
        judged.begin(model, is_first_process=True)
        return judged

    base = begun(small.llama())
    torch.manual_seed(1)
    other = small.llama()
    torch.nn.init.normal_(other.lm_head.weight)
    assert begun(other)._base == base._base != answering().answers(other, ASKED)


def test_a_judge_that_cannot_be_reached_does_not_end_a_training(tmp_path: Path) -> None:
    def judge(pairs: Sequence[Pair], step: int) -> Sequence[float | None]:
        raise WorkerFailed("out of order")

    said: list[str] = []
    judged = Judged(ASKED, answering(), judge, tmp_path, said.append)
    judged.begin(small.llama(), is_first_process=True)
    assert judged._judged(["", ""], 7) == {}
    assert said == ["at step 7 nothing was judged: out of order"]


def test_questions_without_room_for_an_answer_are_left_out(tmp_path: Path) -> None:
    long = Question("long", [{"role": "user", "content": "please " * 600}])
    judged = Judged([*ASKED, long], answering(), lambda pairs, step: [], tmp_path, print)
    judged.begin(small.llama(), is_first_process=True)
    assert judged.questions == ASKED
    with pytest.raises(SetupError, match=r"judge\.max_tokens"):
        Judged([long], answering(), lambda pairs, step: [], tmp_path, print).begin(small.llama(), is_first_process=True)


def test_what_is_trained_on_is_not_asked(tmp_path: Path) -> None:
    data = DataChoice((learnable.talks(tmp_path / "talks.json"),))
    asked = tmp_path / "asked.txt"
    asked.write_text("what is  Paris?\nWho are you?\n")
    said: list[str] = []
    [question] = judged_questions([asked], 9, data, said.append)
    assert question.messages == [{"role": "user", "content": "Who are you?"}]
    assert "1 are left out" in said[0]
    with pytest.raises(SetupError, match="nothing to ask"):
        judged_questions([], 9, data, said.append)


def test_a_tie_is_half_a_win_and_what_was_not_judged_does_not_count() -> None:
    found = win_rate([1.0, 0.5, 0.0, 1.0, None])
    assert found is not None
    assert (found.rate, found.judged, found.failed) == (0.625, 4, 1)
    assert 0 < found.low < 0.625 < found.high < 1
    assert win_rate([None]) is None


async def test_a_model_judges_in_both_orders(tuned: Callable[..., Path], tmp_path: Path) -> None:
    """This one likes whoever stands first, and cannot make up its mind on Paris."""

    def say(body: Mapping[str, Any]) -> str:
        return "Hm." if "Paris" in body["messages"][-1]["content"] else "[[A]]"

    async with serving(Endpoint(say, ("judge",))) as endpoint:
        judge = ("judge.by=judge", f"judge.api_url={endpoint.url}", f"judge.questions={tmp_path / 'asked.txt'}")
        output = await asyncio.to_thread(tuned, "sft", "max_steps=1", *judge, "judge.max_tokens=4")
    [entry] = [entry for entry in logged(output) if "eval_judge_win_rate" in entry]
    found = {name.removeprefix("eval_judge_"): value for name, value in entry.items()}
    assert (found["win_rate"], found["questions"], found["failed"]) == (0.5, 2, 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("judge.by=rule:nobody", "There is no rule"),
        ("judge.by=nobody", "Is it running"),
        ("loop=torch", "measures nothing"),
    ],
)
def test_what_cannot_judge_is_said_before_anything_is_computed(
    tuned: Callable[..., Path], value: str, said: str
) -> None:
    with pytest.raises(SetupError, match=said):
        tuned("sft", "judge.by=rule:concise", "judge.api_url=http://127.0.0.1:9", value)
