"""How many tokens texts have, by a model's own tokenizer; texts in batches, which it counts on all cores."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.data.records import Conversation
from fastchat.data.texts import text_of
from fastchat.model import builtin

_BATCH = 256  # conversations
_ALLOWED = f"A model is a folder, a name on the hub, or {builtin.ALIASES[0]!r}."


class Tokenizer:
    """`special` are the strings that begin and end texts, pad them, and stand for what is unknown."""

    def __init__(self, tokenizer: Any) -> None:  # Any: transformers' tokenizer
        self._tokenizer = tokenizer
        names = ("bos_token", "eos_token", "pad_token", "unk_token")
        found = [getattr(tokenizer, name, None) for name in names]
        self.special: Sequence[str] = tuple(dict.fromkeys(str(token) for token in found if token))

    def lengths(self, texts: Sequence[str], *, with_special: bool) -> list[int]:
        if not texts:
            return []
        encoded = self._tokenizer(list(texts), add_special_tokens=with_special, return_attention_mask=False)
        return [len(ids) for ids in encoded["input_ids"]]


def load_tokenizer(model: str) -> Tokenizer:
    """By a folder, a name on the hub, or `builtin`.

    Raises:
        SetupError: there is none.
    """
    if model.startswith("~"):
        model = str(Path(model).expanduser())
    if model.startswith(("/", ".")) and not Path(model).is_dir():
        raise SetupError(f"There is no folder {model}. {_ALLOWED}")
    try:
        from transformers import AutoTokenizer
        from transformers.utils import logging
    except ModuleNotFoundError as error:
        raise MissingPackage(error.name or "transformers", "train", "Counting tokens") from None
    logging.set_verbosity_error()  # it warns of texts that are too long for the model, which is what is looked for
    path = builtin.ensure_safetensors() if model in builtin.ALIASES else model
    try:
        return Tokenizer(AutoTokenizer.from_pretrained(path))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".:")
        raise SetupError(f"The tokenizer of {model!r} cannot be loaded: {reason}. {_ALLOWED}") from None


def with_lengths(
    conversations: Iterable[Conversation], tokenizer: Tokenizer, *, with_special: bool
) -> Iterator[tuple[Conversation, list[int]]]:
    """Each with the tokens of each of its messages."""
    stream = iter(conversations)
    while batch := list(islice(stream, _BATCH)):
        said = [text_of(message) for one in batch for message in one.messages]
        lengths = iter(tokenizer.lengths(said, with_special=with_special))
        for one in batch:
            yield one, list(islice(lengths, len(one.messages)))
