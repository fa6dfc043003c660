"""The way for every decoder there is: each sequence alone, with whatever cache its model keeps, as `generate` does it.

Nothing is shared between sequences, so nothing is gained by having many: this is what is left where `paged.py` cannot.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from fastchat.engines.hf.adapters import using_adapter
from fastchat.engines.hf.backend import Step
from fastchat.engines.hf.loaded import LoadedModel


@dataclass(slots=True)
class _Sequence:
    tokens: list[int]
    adapter: str | None
    inputs: dict[str, Any]  # pictures, shown to the model with the prompt
    rope_deltas: Any = None
    done: int = 0
    state: dict[str, Any] = field(default_factory=dict)  # in the words of the model's own forward


class DenseBackend:
    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._sequences: dict[int, _Sequence] = {}
        can_leave_out = "logits_to_keep" in inspect.signature(loaded.model.forward).parameters
        self._settings: dict[str, Any] = {"use_cache": True} | ({"logits_to_keep": 1} if can_leave_out else {})

    def add(
        self,
        key: int,
        prompt: Sequence[int],
        *,
        adapter: str | None = None,
        may_share: bool = False,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self._sequences[key] = _Sequence(list(prompt), adapter, inputs=dict(inputs or {}))

    def step(self) -> Step:
        """The next token of all that answer, and one prompt. Not every model can read a prompt in parts."""
        keys, rows = [], []
        has_read = False
        for key, sequence in self._sequences.items():
            is_new = sequence.done == 0
            if sequence.done == len(sequence.tokens) or (is_new and has_read):
                continue
            has_read = has_read or is_new
            keys.append(key)
            rows.append(self._forward(sequence))
        return Step(tuple(keys), torch.stack(rows) if rows else torch.empty((0, 0)))

    def append(self, key: int, token: int) -> None:
        self._sequences[key].tokens.append(token)

    def remove(self, key: int) -> None:
        self._sequences.pop(key, None)

    def shared_tokens(self, key: int) -> int:
        return 0

    def close(self) -> None:
        self._sequences.clear()

    def _forward(self, sequence: _Sequence) -> torch.Tensor:
        model, is_new = self._loaded.model, sequence.done == 0
        tokens = torch.tensor([sequence.tokens], device=self._loaded.device)
        if is_new:
            sequence.state = {"attention_mask": torch.ones_like(tokens), **self._settings, **sequence.inputs}
        # Models that count pictures in rows and columns keep in themselves how far the text after them is shifted.
        counter = model.model if hasattr(getattr(model, "model", None), "rope_deltas") else None
        if counter is not None:
            counter.rope_deltas = sequence.rope_deltas
        with torch.inference_mode(), using_adapter(self._loaded, sequence.adapter):
            inputs = model.prepare_inputs_for_generation(
                tokens, next_sequence_length=None if is_new else 1, is_first_iteration=is_new, **sequence.state
            )
            outputs = model(**inputs, return_dict=True)
        sequence.state = model._update_model_kwargs_for_generation(outputs, sequence.state)
        if counter is not None:
            sequence.rope_deltas = counter.rope_deltas
        sequence.done = len(sequence.tokens)
        logits: torch.Tensor = outputs.logits[0, -1]
        return logits.float()
