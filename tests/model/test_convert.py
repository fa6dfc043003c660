"""The converted built-in model against llama.cpp, which reads the original."""

import json
import struct
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.engines.base import ChatPrompt, Engine, GenerationRequest, Sampling
from fastchat.model import builtin
from fastchat.model.convert import gguf_to_safetensors
from tests.engines.gguf_files import header

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TEXTS = [
    "Hello, world!",
    "line\n1234567 and\n\n42\r\n007",
    "tabs\tand   spaces  \n  indented 3.14159\n",
    "def f(x):\n    return x ** 2  # 100%\n",
    "Größe, naïve café, 中文字符 123 日本語, русский, العربية ٣٤",
    "emoji 👩‍👩‍👧‍👦 🇩🇪 ½ ² Ⅻ",
    "don't we'll I'M  they'd",
    "<|im_start|>user\n2+2=4<|im_end|>\n",
    "",
    " leading",
    "\n9",
    "a" * 100 + "1" * 30,
]


@pytest.fixture(scope="module")
def folder() -> Path:
    return builtin.ensure_safetensors()


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("text", TEXTS)
async def test_token_ids_are_llama_cpps(tokenizer: Any, llama: Engine, text: str) -> None:
    expected = await llama.tokenize(text, add_special=False)
    assert tokenizer.encode(text, add_special_tokens=False) == expected
    assert tokenizer.decode(expected) == text


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("question", ["What is 2+2?", "Name three colours."])
async def test_it_says_what_llama_cpp_says(folder: Path, tokenizer: Any, llama: Engine, question: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    messages = [{"role": "user", "content": question}]
    request = GenerationRequest(ChatPrompt(messages), Sampling(max_tokens=8, temperature=0), top_logprobs=5)
    deltas = [delta async for delta in llama.generate(request)]
    first = next(delta.logprobs[0] for delta in deltas if delta.logprobs)

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == await llama.render(ChatPrompt(messages))
    prompt = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        made = model.generate(**prompt, max_new_tokens=8, do_sample=False)
        logprobs = model(**prompt).logits[0, -1].float().log_softmax(-1)
    answer = tokenizer.decode(made[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer == "".join(delta.text for delta in deltas)
    for other in first.top:  # llama.cpp rounds activations to 8 bits, which is what the tolerance is for
        (token,) = tokenizer.encode(other.token, add_special_tokens=False)
        assert float(logprobs[token]) == pytest.approx(other.logprob, abs=0.25)


@pytest.mark.model
def test_the_folder_is_plain(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert config["max_position_embeddings"] == 8192
    assert "quantization_config" not in config
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 2
    assert "<|im_start|>" in (folder / "chat_template.jinja").read_text()


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    file = tmp_path / "odd.gguf"
    file.write_bytes(header({"general.architecture": "oddity"}))
    with pytest.raises(SetupError, match="oddity"):
        gguf_to_safetensors(file, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["odd.gguf"]


def test_one_part_of_several_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "big-00001-of-00003.gguf"
    file.write_bytes(header({"general.architecture": "llama"}))
    with pytest.raises(SetupError, match="--merge"):
        gguf_to_safetensors(file, tmp_path / "out")


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(header({"general.architecture": "llama"}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("")
    with pytest.raises(SetupError, match="--overwrite"):
        gguf_to_safetensors(file, tmp_path / "out")
    assert (tmp_path / "out" / "precious").exists()


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(struct.pack("<4sI", b"ABCD", 3))
    with pytest.raises(SetupError, match="GGUF"):
        gguf_to_safetensors(tmp_path / "x.gguf", tmp_path / "out")


def test_processes_that_ask_together_convert_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Path] = []
    may_finish = threading.Event()

    def convert(source: Path, target: Path) -> Path:
        started.append(target)
        may_finish.wait()
        target.mkdir()
        return target

    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(builtin, "ensure", lambda: tmp_path / "m.gguf")
    monkeypatch.setattr("fastchat.model.convert.gguf_to_safetensors", convert)
    with ThreadPoolExecutor() as pool:  # each call opens the lock's file anew, as a process does
        asked = [pool.submit(builtin.ensure_safetensors) for _ in range(3)]
        while not started:
            wait(asked, timeout=0.01)
        may_finish.set()
    assert {future.result() for future in asked} == {builtin.safetensors_path()}
    assert len(started) == 1
