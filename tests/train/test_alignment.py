"""DPO, KTO and reward models on a tiny model: what was planted is learned, and what comes out can be used."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.train import lineage
from fastchat.train.alignment import align
from fastchat.train.alignment_plan import Method
from fastchat.train.chat_format import find_format
from fastchat.train.encoding import Encoder
from fastchat.train.preference_samples import pairs
from fastchat.train.preferences import preference
from fastchat.train.voted_battles import VotedBattle, compared
from tests.train import preferring
from tests.train.battles import talk
from tests.train.small import chatml_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads only wait for one another in a model as small as this."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return preferring.base(tmp_path_factory.mktemp("base"))


def silently(note: str) -> None:
    pass


def likelihood(model: Any, tokenizer: Any, prompt: Any, answer: Any) -> float:
    """Of an answer in all, by the model that was saved, the way one would ask it."""
    import torch

    before = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(
        before + answer[0]["content"] + "<|im_end|>", return_tensors="pt", add_special_tokens=False
    ).input_ids
    start = len(tokenizer(before, add_special_tokens=False).input_ids)
    with torch.no_grad():
        likely = model(ids, use_cache=False).logits.log_softmax(-1)[0, start - 1 : -1]
    return float(likely.gather(-1, ids[0, start:, None]).sum())


def margins(folder: Path, comparisons: Any) -> list[float]:
    """How much likelier the chosen answer is."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = map(preference, comparisons)
    return [
        likelihood(model, tokenizer, one.prompt, one.chosen) - likelihood(model, tokenizer, one.prompt, one.rejected)
        for one in found
    ]


def test_dpo_moves_the_preference_on_what_it_saw_and_on_what_was_held_out(model: Path, tmp_path: Path) -> None:
    selection = preferring.chosen(preferring.votes(40), "dpo")
    done = align(preferring.plan("dpo", model, tmp_path, preferring.lessons(selection, "dpo"), merge=True), silently)
    for side in selection[:2]:
        gained = [after - before for after, before in zip(margins(tmp_path, side), margins(model, side), strict=True)]
        assert min(gained) > 0
    assert done.held_out is not None
    assert done.held_out.lessons == len(selection.held_out) > 3
    assert done.held_out.accuracy == 1
    assert not (tmp_path / "adapter_config.json").exists()
    assert (tmp_path / "chat_template.jinja").read_text() == (model / "chat_template.jinja").read_text()
    generation = json.loads((tmp_path / "generation_config.json").read_text())
    assert chatml_tokenizer().convert_tokens_to_ids("<|im_end|>") in generation["eos_token_id"]


def test_the_lineage_names_every_vote_and_the_log_every_step(model: Path, tmp_path: Path) -> None:
    selection = preferring.chosen(preferring.votes(20), "dpo")
    align(preferring.plan("dpo", model, tmp_path, preferring.lessons(selection, "dpo"), max_steps=2), silently)
    told = lineage.read(tmp_path)
    assert told is not None
    assert told["method"] == "dpo"
    assert told["votes"] == [one.battle.vote_id for one in selection.train]
    assert told["held_out"]["lessons"] == len(selection.held_out)
    steps = [entry["step"] for line in (tmp_path / "log.jsonl").open() if "loss" in (entry := json.loads(line))]
    assert steps == [1, 2]
    saved = json.loads((tmp_path / "adapter_config.json").read_text())
    assert saved["base_model_name_or_path"] == str(model)
    assert not (tmp_path / "ref").exists()  # the adapter that TRL compares with


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_without_an_adapter_all_weights_are_tuned(model: Path, tmp_path: Path, method: Method) -> None:
    selection = preferring.chosen(preferring.votes(30), method)
    given = preferring.lessons(selection, method)
    align(preferring.plan(method, model, tmp_path, given, lora=None, learning_rate=3e-3), silently)
    gained = [
        a - b for a, b in zip(margins(tmp_path, selection.held_out), margins(model, selection.held_out), strict=True)
    ]
    assert min(gained) > 0


def test_kto_learns_from_ties_too(model: Path, tmp_path: Path) -> None:
    votes = preferring.votes(40)
    selection = preferring.chosen(votes, "kto")
    align(preferring.plan("kto", model, tmp_path, preferring.lessons(selection, "kto"), merge=True), silently)
    gained = [
        a - b for a, b in zip(margins(tmp_path, selection.held_out), margins(model, selection.held_out), strict=True)
    ]
    assert sum(gained) > 0


def test_a_reward_model_rates_what_was_held_out(model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    selection = preferring.chosen(preferring.votes(60), "reward")
    done = align(
        preferring.plan("reward", model, tmp_path, preferring.lessons(selection, "reward"), merge=True), silently
    )
    assert done.held_out is not None
    assert done.held_out.accuracy is not None
    assert done.held_out.accuracy > 0.8
    scorer, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(tmp_path),
        AutoTokenizer.from_pretrained(tmp_path),
    )
    one = preference(selection.held_out[0])

    def rating(answer: Any) -> float:
        text = tokenizer.apply_chat_template([*one.prompt, *answer], tokenize=False)
        with torch.no_grad():
            return float(scorer(**tokenizer(text, return_tensors="pt")).logits[0, 0])

    assert rating(one.chosen) > rating(one.rejected)


def test_a_run_can_be_repeated_and_gone_on_with(model: Path, tmp_path: Path) -> None:
    given = preferring.lessons(preferring.chosen(preferring.votes(40), "dpo"), "dpo")

    def run(folder: Path, **recipe: Any) -> list[float]:
        align(preferring.plan("dpo", model, folder, given, max_steps=6, save_every=3, **recipe), silently)
        return [entry["loss"] for line in (folder / "log.jsonl").open() if "loss" in (entry := json.loads(line))]

    whole = run(tmp_path / "whole")
    assert run(tmp_path / "again") == whole
    resumed = tmp_path / "resumed"
    resumed.mkdir()
    (tmp_path / "whole" / "checkpoint-3").rename(resumed / "checkpoint-3")
    assert run(resumed) == pytest.approx(whole, abs=1e-6)


@pytest.mark.full
def test_shuffled_votes_teach_nothing(model: Path, tmp_path: Path) -> None:
    """The placebo: winners are drawn, also of what is held out."""
    found = []
    for shuffled in (False, True):
        selection = preferring.chosen(preferring.votes(300, shuffled=shuffled), "dpo", held_out=0.4)
        given = preferring.lessons(selection, "dpo")
        done = align(preferring.plan("dpo", model, tmp_path / str(shuffled), given, max_steps=30), silently)
        assert done.held_out is not None
        found.append(done.held_out)
    real, placebo = found
    assert real.accuracy == 1
    chance = 2 * (0.25 / placebo.lessons) ** 0.5
    assert placebo.accuracy == pytest.approx(0.5, abs=1.5 * chance)


def test_of_a_conversation_only_the_models_part_behind_the_prompt_is_compared(model: Path) -> None:
    left = talk("Hello", "Goodbye", "And now?", "Paris.", "Why?", "Because.")
    right = talk("Hello", "Goodbye", "And now?", "France.", "Why?", "Well.")
    tokenizer = chatml_tokenizer()
    encoder = Encoder(tokenizer, find_format(str(model), tokenizer), max_length=512)
    found = pairs([preference(compared(VotedBattle("v", "m", "n", "b", left, right)))], [], encoder).train[0]
    assert [tokenizer.decode(sample.ids[sample.trained]) for sample in found] == [  # type: ignore[union-attr]
        "France.<|im_end|>Well.<|im_end|>",
        "Paris.<|im_end|>Because.<|im_end|>",
    ]


def test_kto_needs_both_kinds_of_answers(model: Path, tmp_path: Path) -> None:
    given = preferring.lessons(preferring.chosen(preferring.votes(20), "kto"), "kto")
    wanted = type(given)([one for one in given.train if one.is_wanted])  # type: ignore[union-attr]
    with pytest.raises(SetupError, match="both kinds"):
        align(preferring.plan("kto", model, tmp_path, wanted), silently)


def test_each_prompt_of_a_batch_meets_the_answer_to_another() -> None:
    import numpy as np

    from fastchat.train.alignment_trainers import NUMBER, RatedBatch
    from fastchat.train.encoding import Sample
    from fastchat.train.preference_samples import RatedSample

    def sample(prompt: list[int], answer: list[int]) -> RatedSample:
        mask = np.array([False] * len(prompt) + [True] * len(answer))
        return RatedSample(Sample(np.array(prompt + answer), mask), is_wanted=True)

    batch = RatedBatch([sample([1, 2], [3]), sample([4], [5, 6, 7])], pad_id=0, max_length=4)
    found = batch([{NUMBER: 0}, {NUMBER: 1}])
    assert found["input_ids"].tolist() == [[1, 2, 3, 0], [4, 5, 6, 7]]
    assert found["completion_mask"].tolist() == [[0, 0, 1, 0], [0, 1, 1, 1]]
    assert found["KL_input_ids"].tolist() == [[1, 2, 5, 6], [4, 3, 0, 0]]
    assert found["KL_attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
