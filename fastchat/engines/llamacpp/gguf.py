"""The few facts of a model file that have to be known before llama.cpp loads it."""

from dataclasses import dataclass
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.model.gguf import number, read_header


@dataclass(frozen=True, slots=True)
class ModelFile:
    path: str
    trained_context: int
    has_chat_template: bool


def inspect(path: str) -> ModelFile:
    """
    Raises:
        SetupError: there is no such file, or it is not a language model in GGUF.
    """
    header = read_header(Path(path))
    context = number(header, "context_length")
    if not context:
        raise SetupError(f"{path!r} is a GGUF file, but not of a language model: it names no context length.")
    return ModelFile(path, context, has_chat_template="tokenizer.chat_template" in header)
