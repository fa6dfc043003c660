"""The chat template a model ships: in its folder as transformers keeps it, or in the header of a GGUF file."""

import json
from pathlib import Path
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.model.gguf import read_header, word_at

_TOKENIZER = "tokenizer_config.json"
# Where transformers looks, the newest place first. A JSON file has the template under `chat_template`.
_PLACES = ("chat_template.jinja", "chat_template.json", _TOKENIZER)


def own_template(path: str) -> str | None:
    """Jinja text; None where the model has none, so that it can only continue text.

    Raises:
        SetupError: a file of the model is damaged.
    """
    place = Path(path)
    if place.is_file():
        value = read_header(place).get("tokenizer.chat_template")
        return value if isinstance(value, str) and value else None
    for name in _PLACES:
        file = place / name
        if file.is_file() and (template := _template_in(file)):
            return template
    return None


def special_tokens(path: str) -> dict[str, str]:
    """`bos_token` and its like, as templates name them."""
    place = Path(path)
    if place.is_file():
        return _gguf_tokens(place)
    file = place / _TOKENIZER
    fields = _read_json(file) if file.is_file() else {}
    tokens = {key: value for key, value in fields.items() if key.endswith("_token") and value}
    return {key: value["content"] if isinstance(value, dict) else str(value) for key, value in tokens.items()}


def _template_in(file: Path) -> str | None:
    if file.suffix == ".jinja":
        return _read(file)
    template = _read_json(file).get("chat_template")
    if isinstance(template, list):  # several, of which one is for chat and others for tools or retrieval
        template = {item["name"]: item["template"] for item in template}.get("default")
    return template if isinstance(template, str) else None


def _gguf_tokens(file: Path) -> dict[str, str]:
    header = read_header(file)
    tokens: dict[str, str] = {}
    for name in ("bos", "eos"):
        index = header.get(f"tokenizer.ggml.{name}_token_id")
        if isinstance(index, int) and (word := word_at(file, "tokenizer.ggml.tokens", index)) is not None:
            tokens[f"{name}_token"] = word
    return tokens


def _read_json(file: Path) -> dict[str, Any]:
    try:
        fields = json.loads(_read(file))
    except json.JSONDecodeError as error:
        raise SetupError(f"{file} is damaged: {error}. Fetch the model again.") from None
    if not isinstance(fields, dict):
        raise SetupError(f"{file} is damaged: it holds no JSON object. Fetch the model again.")
    return fields


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file} cannot be read: {error}.") from None
