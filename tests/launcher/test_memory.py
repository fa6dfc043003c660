"""What a GGUF file's header says about memory."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.engines.llamacpp.settings import DEFAULT_SLOTS
from fastchat.launcher.config import LocalModel
from fastchat.launcher.memory import estimate, private_bytes, resident_bytes
from fastchat.model.gguf import read_header

U32, STRING, ARRAY = 4, 8, 9


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def u32(key: str, value: int) -> bytes:
    return text(key) + struct.pack("<II", U32, value)


def gguf(*pairs: bytes, ending: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs) + ending


LLAMA = (
    text("general.architecture") + struct.pack("<I", STRING) + text("llama"),
    text("general.tags") + struct.pack("<IIQ", ARRAY, STRING, 2) + text("chat") + text("tiny"),
    u32("llama.block_count", 10),
    u32("llama.context_length", 1000),
    u32("llama.embedding_length", 64),
    u32("llama.attention.head_count", 8),
    u32("llama.attention.head_count_kv", 2),
    text("tokenizer.ggml.tokens") + struct.pack("<IIQ", ARRAY, STRING, 1) + text("word"),
)
BYTES_PER_TOKEN = 10 * 2 * (8 + 8) * 2  # layers, heads, key and value, float16


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(gguf(*LLAMA, ending=b"\0" * 5000))
    return file


def test_the_header_is_read_without_the_words_of_the_tokenizer(model_file: Path) -> None:
    header = read_header(model_file)

    assert header["general.architecture"] == "llama"
    assert header["llama.block_count"] == 10
    assert header["tokenizer.ggml.tokens"] is None


def test_the_cache_holds_the_whole_context_of_every_slot(model_file: Path) -> None:
    by_default = estimate(LocalModel(model="m"), "llamacpp", model_file)
    as_told = estimate(LocalModel(model="m", context_length=200, slots=3), "llamacpp", model_file)

    assert by_default.cache == DEFAULT_SLOTS * 1000 * BYTES_PER_TOKEN
    assert as_told.cache == 3 * 200 * BYTES_PER_TOKEN


def test_weights_are_as_large_as_their_file(model_file: Path) -> None:
    assert estimate(LocalModel(model="m"), "llamacpp", model_file).weights == model_file.stat().st_size


def test_all_parts_of_a_split_file_are_counted(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"big-0000{number}-of-00003.gguf").write_bytes(gguf(*LLAMA))

    found = estimate(LocalModel(model="m"), "llamacpp", tmp_path / "big-00001-of-00003.gguf")

    assert found.weights == 3 * len(gguf(*LLAMA))


def test_a_model_on_gpus_takes_only_its_process_in_main_memory(model_file: Path) -> None:
    found = estimate(LocalModel(model="m", gpus=(0,)), "llamacpp", model_file)

    assert (found.weights, found.cache) == (0, 0)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"GGUF\3", gguf(u32("a", 1))[:-2]])
def test_a_file_that_is_no_gguf_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(content)

    with pytest.raises(SetupError, match=r"broken\.gguf"):
        read_header(file)


def test_a_process_that_is_gone_holds_nothing() -> None:
    nobody = 2**22 + 1  # above the largest process id there can be

    assert (private_bytes(nobody), resident_bytes(nobody)) == (0, 0)


def test_what_a_process_has_started_counts_as_its_own() -> None:
    program = "held = bytearray(50_000_000); print(flush=True); input()"
    before = private_bytes(os.getpid())
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        grown = private_bytes(os.getpid()) - before
    assert grown > 40_000_000


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    config = {"dtype": "bfloat16", "num_hidden_layers": 10, "num_attention_heads": 8, "num_key_value_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_size": 64, "max_position_embeddings": 1000}))
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.safetensors").write_bytes(b"\0" * 5000)
    return tmp_path


@pytest.mark.parametrize(
    ("fields", "weights", "cache"),
    [
        ({}, 10_000, 32_000 * BYTES_PER_TOKEN),
        ({"dtype": "float32"}, 20_000, 32_000 * BYTES_PER_TOKEN * 2),
        ({"load_8bit": True}, 5_150, 32_000 * BYTES_PER_TOKEN),
        ({"load_4bit": True}, 3_500, 32_000 * BYTES_PER_TOKEN),
        ({"slots": 3, "context_length": 200}, 10_000, 600 * BYTES_PER_TOKEN),
        ({"slots": 300}, 10_000, 65_536 * BYTES_PER_TOKEN),
        ({"engine_args": {"cache_tokens": 5000}}, 10_000, 5000 * BYTES_PER_TOKEN),
        ({"device": "cuda"}, 0, 0),
    ],
)
def test_a_folder_takes_what_its_weights_do_as_they_are_loaded(
    model_folder: Path, fields: dict[str, object], weights: int, cache: int
) -> None:
    found = estimate(LocalModel.model_validate({"model": "m"} | fields), "hf", model_folder)

    assert (found.weights, found.cache, found.is_complete) == (weights, cache, True)


def test_weights_that_came_quantised_stay_as_they_are(model_folder: Path) -> None:
    config = model_folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": {"quant_method": "gptq"}}))

    assert estimate(LocalModel(model="m", dtype="float32"), "hf", model_folder).weights == 10_000


def test_a_file_that_transformers_unpacks_is_of_unknown_size(model_file: Path) -> None:
    assert not estimate(LocalModel(model="m"), "hf", model_file).is_complete
