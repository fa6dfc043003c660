"""From a folder to a model in memory: what is chosen, and what is refused in words a user can act on."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
import transformers

from fastchat.core.errors import SetupError
from fastchat.engines.hf import devices
from fastchat.engines.hf.context import context_limit
from fastchat.engines.hf.devices import Hardware
from fastchat.engines.hf.errors import loading_errors
from fastchat.engines.hf.loaded import Kind, LoadedModel
from fastchat.engines.hf.loading import converted, load_model
from fastchat.engines.hf.settings import HfArgs, check, memory_size
from fastchat.engines.registry import EngineOptions
from fastchat.model import builtin
from tests.engines import tiny_models

TOKENS = torch.arange(5, 45)[None]
GB = 10**9


def load(folder: Path, **fields: Any) -> LoadedModel:
    args = HfArgs(threads=1, **fields.pop("engine_args", {}))
    return load_model(EngineOptions(str(folder), **{"device": "cpu", "dtype": "float32"} | fields), args)


def complaint(folder: Path, **fields: Any) -> str:
    with pytest.raises(SetupError) as caught:
        load(folder, **fields)
    return caught.value.message


def change(folder: Path, **fields: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.mark.parametrize(
    ("make", "kind"),
    [(tiny_models.llama, "decoder"), (tiny_models.t5, "encoder-decoder"), (tiny_models.bart, "encoder-decoder")],
    ids=["llama", "t5", "bart"],
)
def test_the_logits_are_those_of_plain_transformers(tmp_path: Path, make: Callable[..., Path], kind: str) -> None:
    folder = make(tmp_path)
    auto = transformers.AutoModelForCausalLM if kind == "decoder" else transformers.AutoModelForSeq2SeqLM
    inputs = {"input_ids": TOKENS} | ({} if kind == "decoder" else {"decoder_input_ids": TOKENS})
    found = load(folder)
    with torch.inference_mode():
        assert torch.equal(found.model(**inputs).logits, auto.from_pretrained(folder)(**inputs).logits)
    assert found.kind == kind
    assert found.eos_token_ids == {tiny_models.EOS}
    assert found.chat_template == tiny_models.CHAT_TEMPLATE
    assert not found.model.training


def test_shards_and_old_bin_files_are_read(tmp_path: Path) -> None:
    whole = tiny_models.llama(tmp_path / "whole")
    sharded = tiny_models.llama(tmp_path / "sharded", shard_size="50KB")
    old = tmp_path / "old"
    shutil.copytree(whole, old)
    state = load(whole).model.state_dict()
    (old / "model.safetensors").unlink()
    torch.save(state, old / "pytorch_model.bin")
    assert len(list(sharded.glob("*.safetensors"))) > 3
    for folder in (sharded, old):
        again = load(folder).model.state_dict()
        assert all(torch.equal(tensor, again[name]) for name, tensor in state.items())


def test_a_folder_of_an_encoder_makes_embeddings(tmp_path: Path) -> None:
    folder = tiny_models.bert(tmp_path)
    assert load(folder).kind == "encoder"
    without_pooler = {name: value for name, value in load(folder).model.state_dict().items() if "pooler" not in name}
    from safetensors.torch import save_file

    save_file(without_pooler, folder / "model.safetensors", metadata={"format": "pt"})
    assert load(folder).model.pooler is None


def test_a_sentencepiece_model_alone_is_a_tokenizer(tmp_path: Path) -> None:
    """As Vicuna's and LLaMA's folders had it."""
    folder = tiny_models.llama(tmp_path / "m", vocab_size=400)
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
        (folder / file).unlink(missing_ok=True)
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"the quick brown fox {number} jumps over the lazy dog" for number in range(200)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=330,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=1.0,
        minloglevel=2,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
    )
    (folder / "tokenizer.vocab").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer", "legacy": true}')
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))

    tokenizer = load(folder).tokenizer

    for words in ("the quick brown fox", "jumps over\n\n  the dog 漢", "a  b", "USER: the dog ASSISTANT:"):
        ids = tokenizer.encode(words, add_special_tokens=False)
        assert ids == reference.encode(words)
        assert tokenizer.decode(ids) == words
    assert tokenizer.encode("the")[0] == reference.bos_id()


def test_a_t5_tokenizer_keeps_the_blanks_it_was_taught(tmp_path: Path) -> None:
    """FastChat-T5's tokenizer has line ends and runs of blanks among its added tokens."""
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -3.0), *((letter, -5.0) for letter in "abcdef:")]
    tokenizer = transformers.T5Tokenizer(vocab=words, extra_ids=2)
    tokenizer.add_tokens(["\n", "  ", "{"])
    folder = tiny_models.t5(tmp_path, vocab_size=len(tokenizer))
    tokenizer.save_pretrained(folder)

    found = load(folder).tokenizer

    ids = found.encode("abc\nde  f{a")
    assert ids[-1] == found.eos_token_id
    assert {found.convert_tokens_to_ids(mark) for mark in ("\n", "  ", "{")} <= set(ids)
    assert "\n" in found.decode(ids)
    assert found.unk_token_id not in ids


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda folder: change(folder, num_hidden_layers=3),
            r"not complete: \d+ tensors are missing \(model\.layers\.2",
        ),
        (lambda folder: change(folder, intermediate_size=96), r"other shapes than its config.json says \(model"),
        (lambda folder: change(folder, model_type="abacus"), "does not know the architecture"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 100), "is damaged"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json' cannot be read"),
        (lambda folder: (folder / "config.json").unlink(), "no file config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (lambda folder: change(folder, quantization_config={"quant_method": "gptq", "bits": 4}), "gptqmodel|optimum"),
        (lambda folder: change(folder, quantization_config={"quant_method": "awq", "bits": 4}), "gptqmodel|awq"),
        (
            lambda folder: change(folder, quantization_config={"quant_method": "compressed-tensors"}),
            "compressed-tensors",
        ),
    ],
    ids=["layer", "shape", "architecture", "safetensors", "json", "config", "weights", "gptq", "awq", "compressed"],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, damage: Callable[[Path], Any], said: str) -> None:
    folder = tiny_models.llama(tmp_path / "m")
    damage(folder)
    import re

    assert re.search(said, message := complaint(folder)), message


def test_pickles_are_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path(tmp_path / "sprung").touch, ()

    folder = tiny_models.llama(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    torch.save({"model.norm.weight": Trap()}, folder / "pytorch_model.bin")
    assert "save_pretrained" in complaint(folder)
    (folder / "pytorch_model.bin").rename(folder / "weights.pt")
    assert "holds its weights as a pickle (weights.pt)" in complaint(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(), protocol=2))
    complaint(folder)
    assert not (tmp_path / "sprung").exists()


def test_code_that_comes_with_a_model_is_not_run_unless_asked(tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path / "m")
    change(
        folder, model_type="theirs", auto_map={"AutoConfig": "theirs.Config", "AutoModelForCausalLM": "theirs.Model"}
    )
    (folder / "theirs.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'sprung')!r}).touch()\nraise ValueError\n"
    )
    assert "brings Python of its own (theirs.py)" in (said := complaint(folder))
    assert "--trust-remote-code" in said
    assert not (tmp_path / "sprung").exists()
    complaint(folder, trust_remote_code=True)
    assert (tmp_path / "sprung").exists()


def test_a_template_that_is_given_replaces_the_models_own(tmp_path: Path) -> None:
    assert load(tiny_models.llama(tmp_path), chat_template="{{ messages }}").chat_template == "{{ messages }}"


def test_the_context_is_the_models_unless_a_shorter_one_is_asked_for(tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path)
    assert load(folder).context_length == 512
    assert load(folder, context_length=100).context_length == 100
    assert "was trained for 512 tokens; a context of 513 is too long" in complaint(folder, context_length=513)


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"max_sequence_length": 16384, "max_position_embeddings": None}, 16384),
        ({"n_positions": 1024}, 1024),
        ({"seq_length": 8192}, 8192),
        ({}, 2048),
        ({"model_type": "t5", "n_positions": 512}, 2048),
        # LongChat and Vicuna 16k
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}}, 16384),
        ({"max_position_embeddings": 2048, "rope_parameters": {"rope_type": "linear", "factor": 8.0}}, 16384),
        # Llama 3.1: the factor is in the number already
        (
            {
                "max_position_embeddings": 131072,
                "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
            },
            131072,
        ),
        # Qwen 2.5 with YaRN: it is not
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
            },
            131072,
        ),
        ({"max_position_embeddings": 8192, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}, 8192),
        (
            {
                "max_position_embeddings": 1000,
                "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0}, "sliding_attention": {}},
            },
            8000,
        ),
        ({"text_config": {"max_position_embeddings": 700}}, 700),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
    ],
)
def test_the_context_is_read_from_the_configuration(config: dict[str, Any], length: int) -> None:
    assert context_limit(config, {}).usual == length


def test_an_encoder_takes_no_more_than_its_tokenizer_says() -> None:
    config = {"max_position_embeddings": 512}
    assert context_limit(config, {"model_max_length": 256}, is_encoder=True).usual == 256
    assert context_limit(config, {"model_max_length": 10**30}, is_encoder=True).usual == 512
    assert context_limit(config, {"model_max_length": 256}).usual == 512


TWO_GPUS = Hardware(gpus=(40 * GB, 20 * GB), gpus_know_bfloat16=True, cpu_knows_bfloat16=True, memory=64 * GB)
OLD_GPU = Hardware(gpus=(16 * GB,), memory=64 * GB)
MAC = Hardware(has_metal=True, memory=32 * GB)
PLAIN = Hardware(memory=16 * GB)
INTEL = Hardware(xpus=(16 * GB,), memory=64 * GB)
HUAWEI = Hardware(npus=(32 * GB,), memory=64 * GB)


@pytest.mark.parametrize(
    ("hardware", "asked", "device"),
    [
        (TWO_GPUS, None, "cuda"),
        (MAC, None, "mps"),
        (PLAIN, None, "cpu"),
        (INTEL, None, "xpu"),
        (HUAWEI, None, "npu"),
        (TWO_GPUS, "cpu", "cpu"),
    ],
)
def test_the_best_device_there_is_is_taken(hardware: Hardware, asked: Any, device: str) -> None:
    assert devices.choose_device(EngineOptions("m", device=asked), hardware) == device


@pytest.mark.parametrize(
    ("hardware", "fields", "said"),
    [
        (MAC, {"device": "cuda"}, r"--device cuda: PyTorch finds none here. It finds: mps, cpu"),
        (PLAIN, {"device": "npu"}, r"It finds: cpu\."),
        (TWO_GPUS, {"num_gpus": 3}, r"--num-gpus 3: PyTorch finds 2"),
        (PLAIN, {"num_gpus": 2}, r"--num-gpus 2: PyTorch finds 0"),
        (MAC, {"cpu_offloading": True}, "are for GPUs with memory of their own"),
    ],
)
def test_a_device_that_is_not_there_is_refused(hardware: Hardware, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        devices.choose_device(EngineOptions("m", **fields), hardware)


@pytest.mark.parametrize(
    ("hardware", "device", "kind", "checkpoint", "dtype"),
    [
        (TWO_GPUS, "cpu", "decoder", "float16", "bfloat16"),
        (PLAIN, "cpu", "decoder", "float16", "float32"),
        (TWO_GPUS, "cpu", "encoder", "float32", "float32"),
        (TWO_GPUS, "cuda", "decoder", "float16", "float16"),
        (TWO_GPUS, "cuda", "decoder", "bfloat16", "bfloat16"),
        (TWO_GPUS, "cuda", "decoder", "float32", "bfloat16"),
        (TWO_GPUS, "cuda", "decoder", None, "bfloat16"),
        (OLD_GPU, "cuda", "decoder", "bfloat16", "float16"),
        (MAC, "mps", "decoder", "bfloat16", "float16"),
        (INTEL, "xpu", "decoder", "float16", "bfloat16"),
        (HUAWEI, "npu", "decoder", "bfloat16", "float16"),
    ],
)
def test_the_number_format_suits_device_and_model(
    hardware: Hardware, device: Any, kind: Kind, checkpoint: str | None, dtype: str
) -> None:
    assert devices.choose_dtype(EngineOptions("m"), device, hardware, kind, checkpoint) == dtype
    asked = EngineOptions("m", dtype="float32")
    assert devices.choose_dtype(asked, device, hardware, kind, checkpoint) == "float32"


def test_float16_on_a_cpu_is_done_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    asked = EngineOptions("m", dtype="float16")
    assert devices.choose_dtype(asked, "cpu", PLAIN, "decoder", "float16") == "float16"
    assert "very slow on a CPU" in caplog.text


@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        ({}, None),
        ({"num_gpus": 2}, {0: 34 * GB, 1: 17 * GB, "cpu": 0}),
        ({"num_gpus": 2, "max_gpu_memory": "8GiB"}, {0: 8 * 2**30, 1: 8 * 2**30, "cpu": 0}),
        ({"max_gpu_memory": "8GB"}, {0: 8 * GB, "cpu": 0}),
        ({"cpu_offloading": True}, {0: 34 * GB, "cpu": 64 * GB}),
    ],
)
def test_the_weights_are_spread_as_asked(fields: dict[str, Any], limits: dict[int | str, int] | None) -> None:
    assert devices.memory_limits(EngineOptions("m", **fields), "cuda", TWO_GPUS) == limits


@pytest.mark.parametrize(
    ("text", "size"), [("8GiB", 8 * 2**30), ("8 gib", 8 * 2**30), ("1.5GB", 1_500_000_000), ("800MiB", 800 * 2**20)]
)
def test_sizes_are_read_as_users_write_them(text: str, size: int) -> None:
    assert memory_size(text) == size


@pytest.mark.parametrize("text", ["8", "GiB", "8 apples", "0GiB", "-1GiB"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(SetupError, match="Write it like 8GiB"):
        memory_size(text)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"engine_args": {"treads": 1}}, "engine_args of the engine 'hf': treads"),
        ({"device": "cpu", "num_gpus": 2}, "--num-gpus is for GPUs"),
        ({"device": "mps", "cpu_offloading": True}, "--cpu-offloading is for GPUs"),
        ({"max_gpu_memory": "lots"}, "Write it like 8GiB"),
        ({"context_length": 1000}, "was trained for 512 tokens"),
        ({"adapters": {"a": "nowhere"}}, "'nowhere' is no folder of a PEFT adapter"),
        ({"device": "cpu", "dtype": "float16", "quantization": "int4"}, "--load-4bit computes in bfloat16"),
    ],
)
def test_options_are_checked_before_anything_is_loaded(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    folder = tiny_models.llama(tmp_path)
    check(EngineOptions(str(folder)))
    with pytest.raises(SetupError, match=said):
        check(EngineOptions(str(folder), **fields))


def test_weights_that_are_quantised_are_not_quantised_again(tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path)
    change(folder, quantization_config={"quant_method": "gptq"})
    with pytest.raises(SetupError, match=r"quantised already \(gptq\)"):
        check(EngineOptions(str(folder), quantization="int8"))


def test_the_attention_is_the_one_asked_for(tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path)
    assert load(folder, engine_args={"attn_implementation": "eager"}).model.config._attn_implementation == "eager"
    assert "flash" in complaint(folder, engine_args={"attn_implementation": "flash_attention_2"}).lower()


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("can't allocate memory: 9 bytes")],
)
def test_too_little_memory_is_said_to_be_that(error: Exception) -> None:
    with pytest.raises(SetupError, match="not enough memory for 'm'"), loading_errors(Path("m")):
        raise error


def test_a_model_larger_than_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_models.llama(tmp_path)
    stored = (folder / "model.safetensors").stat().st_size
    monkeypatch.setattr(devices, "look", lambda: Hardware(memory=stored // 3))
    for dtype in ("float32", "bfloat16"):
        assert "Try --load-8bit or --load-4bit" in complaint(folder, dtype=dtype)
    assert load(folder, quantization="int8", dtype="bfloat16").model


@pytest.mark.model
def test_a_gguf_file_is_converted_once() -> None:
    found = load(builtin.ensure(), dtype="bfloat16")
    text = "The capital of France is"
    with torch.inference_mode():
        logits = found.model(input_ids=torch.tensor([found.tokenizer.encode(text)])).logits
    assert found.tokenizer.decode(logits[0, -1].argmax()) == " Paris"
    assert (found.kind, found.context_length) == ("decoder", 8192)
    folder = converted(builtin.path())
    made = folder.stat().st_mtime_ns
    assert converted(builtin.path()).stat().st_mtime_ns == made
