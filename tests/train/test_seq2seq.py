"""Encoder-decoders, as FastChat-T5 was tuned."""

import json
from pathlib import Path

import pytest

from fastchat.commands import train_seed
from fastchat.engines.registry import EngineOptions, load_engine
from fastchat.train.seq2seq import teach_code
from tests.engines import asking, tiny_models
from tests.train import learnable


def run(script: str, base: Path, folder: Path, *more: str) -> Path:
    output = folder / "output"
    line = f"--model_name_or_path {base} --data_path {learnable.talks(folder / 'talks.json')} --output_dir {output}"
    fixed = "--preprocessed_path cache.json --num_data 12 --model_max_length 48 --logging_steps 1 --save_strategy no"
    train_seed.main([script, *line.split(), *fixed.split(), "--per_device_train_batch_size", "6", *more])
    return output


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path / "cache"))
    return tiny_models.t5(tmp_path / "t5")


async def test_flant5s_line_trains_a_model_that_is_served(base: Path, tmp_path: Path) -> None:
    output = run("train_flant5", base, tmp_path, "--num_train_epochs", "3", "--learning_rate", "2e-2")
    lineage = json.loads((output / "lineage.json").read_text())
    assert (lineage["conversations"], lineage["samples"]) == (12, 18)  # a pair for each answer
    assert lineage["losses"][-1] < 0.7 * lineage["losses"][0]
    engine = await load_engine("hf", EngineOptions(str(output), slots=1, dtype="float32"))
    try:
        answer = await asking.ask(engine, asking.chat("What is Paris?"))
    finally:
        await engine.close()
    assert answer.usage.completion_tokens > 0


def test_an_adapter_is_trained_beside_it(base: Path, tmp_path: Path) -> None:
    output = run("train_lora_t5", base, tmp_path, "--max_steps", "2")
    config = json.loads((output / "adapter_config.json").read_text())
    assert (sorted(config["target_modules"]), config["task_type"]) == (["q", "v"], "SEQ_2_SEQ_LM")


def test_signs_of_code_are_added_where_they_cannot_be_written() -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # As T5's: no line breaks, no braces, and several spaces are one.
    words = Tokenizer(models.WordLevel({"<unk>": 0, "▁a": 1, "b": 2, "▁b": 3, "a": 4}, unk_token="<unk>"))
    words.normalizer = normalizers.Replace("\n", " ")
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    taught = teach_code(tokenizer)
    assert {"{", "}", "\n", "<"} <= set(taught)
    assert teach_code(tokenizer) == []
    assert teach_code(tiny_models.tokenizer()) == []  # over bytes, everything can be written
