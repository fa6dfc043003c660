import json
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.model import builtin
from fastchat.model.gguf import word_at
from fastchat.model.templates import own_template, special_tokens
from tests.engines.gguf_files import header


@pytest.mark.parametrize(
    ("files", "template"),
    [
        ({}, None),
        ({"chat_template.jinja": "new", "tokenizer_config.json": {"chat_template": "old"}}, "new"),
        ({"tokenizer_config.json": {"chat_template": "old"}}, "old"),
        ({"tokenizer_config.json": {"bos_token": "<s>"}}, None),
        ({"chat_template.json": {"chat_template": "of a processor"}}, "of a processor"),
        (
            {
                "tokenizer_config.json": {
                    "chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
                }
            },
            "d",
        ),
        ({"tokenizer_config.json": {"chat_template": [{"name": "rag", "template": "r"}]}}, None),
    ],
)
def test_a_folder_keeps_its_template_where_transformers_looks(
    tmp_path: Path, files: dict[str, Any], template: str | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    assert own_template(str(tmp_path)) == template


def test_a_gguf_keeps_it_in_its_header(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(header({"general.architecture": "llama", "tokenizer.chat_template": "{{ x }}"}))
    assert own_template(str(file)) == "{{ x }}"
    assert special_tokens(str(file)) == {}


def test_a_damaged_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(SetupError, match=r"tokenizer_config\.json is damaged"):
        own_template(str(tmp_path))


def test_special_tokens_are_strings_or_objects(tmp_path: Path) -> None:
    fields = {"bos_token": {"content": "<s>", "lstrip": False}, "eos_token": "</s>", "pad_token": None, "other": 1}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(fields))
    assert special_tokens(str(tmp_path)) == {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.model
def test_the_built_in_model_ships_both() -> None:
    path = builtin.ensure()
    assert "<|im_start|>" in (own_template(str(path)) or "")
    assert special_tokens(str(path)) == {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    assert word_at(path, "tokenizer.ggml.tokens", 10**9) is None
    assert word_at(path, "no.such.list", 0) is None
