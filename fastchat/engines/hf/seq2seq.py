"""Continuous batching for encoder-decoder models: T5 and its like, BART and its like.

The encoder reads a prompt once, in one go, for it looks both ways. The decoders of all running sequences then step
together: what they have seen is kept aligned at its right end, so that the next token of each stands in one column.

    sequence a      . . a a a │ next        "." is padding, masked
    sequence b      b b b b b │ next

A batch is laid out anew only when a sequence joins or leaves. Positions that are relative (T5) do not notice the
padding; to models with absolute ones each row's own position is told. Memory grows with the sequences: slots times the
context is the most.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from fastchat.engines.hf.adapters import using_adapter
from fastchat.engines.hf.backend import Step
from fastchat.engines.hf.loaded import LoadedModel

_ENCODED_AT_ONCE = 4096  # tokens of prompts, padding included, that one step reads; a longer prompt goes alone


@dataclass(slots=True, eq=False)
class _Sequence:
    key: int
    prompt: list[int]
    adapter: str | None
    pending: list[int]  # tokens of the decoder that it has not seen
    seen: int = 0
    home: "_Batch | None" = None  # where its keys and values lie
    row: int = 0

    @property
    def is_new(self) -> bool:
        return self.home is None


@dataclass(slots=True, eq=False)
class _Batch:
    sequences: list[_Sequence]
    cache: EncoderDecoderCache
    prompt_mask: Tensor  # (sequences, longest prompt)
    seen_mask: Tensor  # (sequences, most tokens seen by the decoder)


@dataclass(slots=True)
class _Positions:
    """Tells a decoder with absolute positions where each row stands."""

    of_rows: Tensor | None = None
    hooks: list[Any] = field(default_factory=list)

    def attach(self, embedding: Any) -> None:
        self.hooks += [
            embedding.register_forward_pre_hook(self._replace, with_kwargs=True),
            embedding.register_forward_hook(self._one_a_row),
        ]

    def detach(self) -> None:
        for hook in self.hooks:
            hook.remove()

    def _replace(self, _: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        return None if self.of_rows is None else (args, kwargs | {"position_ids": self.of_rows})

    def _one_a_row(self, _: Any, __: Any, output: Tensor) -> Tensor | None:
        return None if self.of_rows is None else output.reshape(len(self.of_rows), 1, -1)


class Seq2SeqBackend:
    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._sequences: dict[int, _Sequence] = {}
        self._first_tokens = _first_tokens(loaded.model)
        self._positions = _Positions()
        decoder = loaded.model.get_decoder()
        embedding = getattr(decoder, "embed_positions", None)
        takes_positions = embedding is not None and "position_ids" in inspect.signature(embedding.forward).parameters
        if takes_positions:
            self._positions.attach(embedding)
        is_relative = any(name.endswith("relative_attention_bias") for name, _ in decoder.named_modules())
        # What is neither is batched with sequences of its own length only.
        self._mixes_lengths = takes_positions or is_relative

    def add(
        self,
        key: int,
        prompt: Sequence[int],
        *,
        adapter: str | None = None,
        may_share: bool = False,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self._sequences[key] = _Sequence(key, list(prompt), adapter, list(self._first_tokens))

    def step(self) -> Step:
        keys: list[int] = []
        logits: list[Tensor] = []
        with torch.inference_mode():
            for sequences in self._groups():
                with using_adapter(self._loaded, sequences[0].adapter):
                    run = self._start if sequences[0].is_new else self._continue
                    logits.append(run(sequences))
                keys += [one.key for one in sequences]
        return Step(tuple(keys), torch.cat(logits) if logits else torch.empty((0, 0)))

    def append(self, key: int, token: int) -> None:
        self._sequences[key].pending.append(token)

    def remove(self, key: int) -> None:
        self._sequences.pop(key, None)

    def shared_tokens(self, key: int) -> int:
        return 0

    def close(self) -> None:
        self._sequences.clear()
        self._positions.detach()

    def _groups(self) -> list[list[_Sequence]]:
        """What is computed together in this step."""
        groups: dict[Any, list[_Sequence]] = {}
        longest = new = 0
        for one in self._sequences.values():
            if not one.pending:
                continue
            if one.is_new:
                longest, new = max(longest, len(one.prompt)), new + 1
                if new > 1 and longest * new > _ENCODED_AT_ONCE:
                    continue  # its turn comes with the next step
            groups.setdefault((one.adapter, one.is_new, None if self._mixes_lengths else one.seen), []).append(one)
        return list(groups.values())

    def _start(self, sequences: list[_Sequence]) -> Tensor:
        """Read the prompts and the first tokens of the decoders."""
        prompt_mask = self._tensor(_filled([[1] * len(one.prompt) for one in sequences]))
        prompts = self._tensor(_filled([one.prompt for one in sequences]))
        encoded = self._loaded.model.get_encoder()(input_ids=prompts, attention_mask=prompt_mask).last_hidden_state
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        batch = _Batch(sequences, cache, prompt_mask, prompt_mask.new_zeros((len(sequences), 0)))
        return self._forward(batch, encoded)

    def _continue(self, sequences: list[_Sequence]) -> Tensor:
        home = sequences[0].home
        batch = home if home is not None and home.sequences == sequences else self._gathered(sequences)
        # Keys and values of the prompts are in the cache; of what they were made from only the shape is looked at.
        size = self._loaded.model.config.hidden_size
        nothing = torch.zeros((), dtype=self._loaded.model.dtype, device=self._loaded.device)
        self._positions.of_rows = self._tensor([one.seen for one in sequences])
        try:
            return self._forward(batch, nothing.expand(*batch.prompt_mask.shape, size))
        finally:
            self._positions.of_rows = None

    def _gathered(self, sequences: list[_Sequence]) -> _Batch:
        """A batch of exactly these, from those they have been in."""
        seen = [(one.home.cache.self_attention_cache, one.row, one.seen) for one in sequences if one.home]
        prompts = [(one.home.cache.cross_attention_cache, one.row, len(one.prompt)) for one in sequences if one.home]
        return _Batch(
            sequences,
            EncoderDecoderCache(_stacked(seen, at_right=True), _stacked(prompts, at_right=False)),
            self._tensor(_filled([[1] * len(one.prompt) for one in sequences])),
            self._tensor(_filled([[1] * one.seen for one in sequences], at_right=True)),
        )

    def _forward(self, batch: _Batch, encoded: Tensor) -> Tensor:
        """The logits of each sequence's next token, (sequences, vocabulary)."""
        tokens = self._tensor([one.pending for one in batch.sequences])
        batch.seen_mask = torch.cat([batch.seen_mask, torch.ones_like(tokens)], dim=1)
        output = self._loaded.model(
            encoder_outputs=BaseModelOutput(encoded),
            attention_mask=batch.prompt_mask,
            decoder_input_ids=tokens,
            decoder_attention_mask=batch.seen_mask,
            past_key_values=batch.cache,
            use_cache=True,
        )
        for row, one in enumerate(batch.sequences):
            one.home, one.row = batch, row
            one.seen += len(one.pending)
            one.pending = []
        return output.logits[:, -1].float()

    def _tensor(self, numbers: Sequence[Any]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self._loaded.device)


def _first_tokens(model: Any) -> list[int]:
    """What the decoder is given before it says anything."""
    settings = (model.generation_config, model.config)
    start = next(
        (
            found
            for name in ("decoder_start_token_id", "bos_token_id", "pad_token_id")
            for owner in settings
            if (found := getattr(owner, name, None)) is not None
        ),
        0,
    )
    forced = next(
        (found for owner in settings if (found := getattr(owner, "forced_bos_token_id", None)) is not None), None
    )
    return [start] if forced is None else [start, forced]


def _stacked(parts: Sequence[tuple[DynamicCache, int, int]], *, at_right: bool) -> DynamicCache:
    """One cache of rows of several; of each row the given number of tokens counts, at its right or left end."""
    longest = max(length for _, _, length in parts)
    stacked = DynamicCache()
    for number in range(len(parts[0][0].layers)):
        sides = []
        for side in ("keys", "values"):
            rows = []
            for cache, row, length in parts:
                found = getattr(cache.layers[number], side)[row]  # (heads, tokens, size)
                kept = found[:, found.shape[1] - length :] if at_right else found[:, :length]
                missing = longest - length
                rows.append(pad(kept, (0, 0, missing, 0) if at_right else (0, 0, 0, missing)))
            sides.append(torch.stack(rows))
        stacked.update(*sides, number)
    return stacked


def _filled(rows: list[list[int]], *, at_right: bool = False) -> list[list[int]]:
    """All as long as the longest, with zeros before (the numbers at the right end) or after them."""
    longest = max(map(len, rows))
    zeros = ([0] * (longest - len(row)) for row in rows)
    return [filling + row if at_right else row + filling for row, filling in zip(rows, zeros, strict=True)]
