"""What a model gets for a conversation, looked at without serving it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.engines.base import Message
from fastchat.engines.registry import EngineOptions, load_engine
from fastchat.model import builtin
from fastchat.model.sources import resolve
from fastchat.model.templates import own_template, special_tokens
from fastchat.prompts import catalog
from fastchat.prompts.formats import PromptFormat
from fastchat.prompts.rendering import UNMARKED, AnswerMarks


@dataclass(frozen=True, slots=True)
class Source:
    """A format with the names its template may use: those of a model's own template come with the model."""

    format: PromptFormat
    tokens: Mapping[str, Any] = field(default_factory=dict)

    def render(self, messages: Sequence[Message], *, answer_marks: AnswerMarks = UNMARKED) -> str:
        return self.format.render(messages, answer_marks=answer_marks, **self.tokens)


def find_source(name: str) -> Source:
    """What a user calls a format: a name, a Jinja file, or a model that ships a template.

    Raises:
        SetupError: it is none of these.
    """
    if name in catalog.names() or not _is_model(name):
        return Source(catalog.find(name))
    path = resolve(name)
    template = own_template(path)
    if template is None:
        known = catalog.match(name)
        hint = f" Its name matches the format {known.name!r}." if known else ""
        raise SetupError(
            f"The model {name!r} ships no chat template.{hint} `fastchat prompts list` prints all formats."
        )
    return Source(PromptFormat(name, template), special_tokens(path))


async def token_ids(model_path: str, source: Source, messages: Sequence[Message]) -> list[int]:
    """The prompt in the tokens of a model.

    Raises:
        SetupError: there is no such model, or its tokenizer cannot be used here.
    """
    path = resolve(model_path)
    if path.endswith(".gguf"):
        return await _llama_ids(path, source.render(messages))
    return _transformers_ids(path, source.format.render(messages, **(source.tokens or special_tokens(path))))


async def _llama_ids(path: str, text: str) -> list[int]:
    """llama.cpp puts the first token there itself where the model wants it; a text must not bring a second."""
    bos = special_tokens(path).get("bos_token")
    engine = await load_engine("llamacpp", EngineOptions(path, context_length=256, slots=1))
    try:
        ids = await engine.tokenize(text, add_special=True)
    finally:
        await engine.close()
    is_double = bos is not None and text.startswith(bos) and ids[:1] == ids[1:2]
    return ids[1:] if is_double else ids


def _transformers_ids(path: str, text: str) -> list[int]:
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingPackage("transformers", "model_worker", "The tokenizer of this model") from None
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise SetupError(f"The tokenizer in {path} cannot be loaded: {error}") from None
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _is_model(name: str) -> bool:
    return name in builtin.ALIASES or name.endswith(".gguf") or Path(name).expanduser().is_dir()
