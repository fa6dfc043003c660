"""A model in memory, with all that is needed to use it. Made by `loading.py`, used by everything else here."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["decoder", "encoder-decoder", "encoder"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The types of transformers and torch are opaque here, so that this module can be imported without them."""

    model: Any  # a torch module in eval mode
    tokenizer: Any
    kind: Kind
    context_length: int  # tokens one request may use, prompt and answer together
    device: Any  # torch.device on which inputs are expected
    eos_token_ids: frozenset[int]  # any of them ends an answer
    adapters: tuple[str, ...] = ()  # names, as peft knows them
    processor: Any = None  # of a model that sees
    chat_template: str | None = None  # Jinja text; None: the model has none
