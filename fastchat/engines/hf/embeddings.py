"""Texts → vectors: what the model says of each token, pooled as the model's own files say, or to their mean.

    modules.json         [{"type": "sentence_transformers.models.Transformer", "path": ""},
                          {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}, …]
    1_Pooling/config.json {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": true, …}

Any kind of model will do; of an encoder-decoder the encoder speaks. Runs in the thread of the model.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fastchat.core.errors import ContextLengthExceeded, InvalidRequest, SetupError
from fastchat.engines.base import Embeddings
from fastchat.engines.hf.adapters import using_adapter
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.settings import HfArgs, read_json

Pooling: TypeAlias = Literal["mean", "cls", "last", "max"]

_MODES: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
    "pooling_mode_max_tokens": "max",
}
_PASSED_OVER = ("Transformer", "Pooling", "Normalize")  # ours are of unit length anyway


class Embedder:
    def __init__(self, loaded: LoadedModel, args: HfArgs) -> None:
        """
        Raises:
            SetupError: the model pools in a way that is not known here.
        """
        self._loaded = loaded
        self._batch = args.embedding_batch
        folder = Path(loaded.model.config.name_or_path)
        self.pooling: Pooling = own_pooling(folder) if args.pooling == "model" else args.pooling
        self._reader = _reader(loaded)
        # Padding must not look like a word: some models count positions by it.
        self._padding = getattr(loaded.model.config, "pad_token_id", None) or 0

    @property
    def size(self) -> int:
        return int(self._loaded.model.config.get_text_config().hidden_size)

    def embed(self, inputs: Sequence[Sequence[int]]) -> Embeddings:
        """
        Raises:
            InvalidRequest: an input is empty, too long, or holds a token the model does not have.
        """
        for tokens in inputs:
            self._check(tokens)
        rows: list[Sequence[float]] = [()] * len(inputs)
        order = sorted(range(len(inputs)), key=lambda number: len(inputs[number]))  # little padding in each batch
        for start in range(0, len(order), self._batch):
            numbers = order[start : start + self._batch]
            for number, row in zip(numbers, self._read([inputs[number] for number in numbers]), strict=True):
                rows[number] = row
        return Embeddings(rows, sum(map(len, inputs)))

    def _check(self, tokens: Sequence[int]) -> None:
        if not tokens:
            raise InvalidRequest("An input is empty.", param="input")
        if len(tokens) > self._loaded.context_length:
            raise ContextLengthExceeded(len(tokens), self._loaded.context_length)
        vocabulary = self._loaded.model.get_input_embeddings().num_embeddings
        if unknown := next((token for token in tokens if not 0 <= token < vocabulary), None):
            raise InvalidRequest(f"This model has no token {unknown}.", param="input")

    def _read(self, inputs: Sequence[Sequence[int]]) -> list[list[float]]:
        import torch
        from torch.nn.functional import normalize

        longest = max(map(len, inputs))
        padded = [[*tokens, *[self._padding] * (longest - len(tokens))] for tokens in inputs]
        lengths = torch.tensor([len(tokens) for tokens in inputs], device=self._loaded.device)
        mask = torch.arange(longest, device=self._loaded.device) < lengths[:, None]  # (inputs, tokens)
        with torch.inference_mode(), using_adapter(self._loaded, None):
            states = self._reader(
                input_ids=torch.tensor(padded, device=self._loaded.device), attention_mask=mask.long()
            ).last_hidden_state.float()  # (inputs, tokens, size)
            pooled = _pooled(states, mask[..., None], lengths, self.pooling)
            rows: list[list[float]] = normalize(pooled, dim=-1).tolist()
        return rows


def own_pooling(folder: Path) -> Pooling:
    """
    Raises:
        SetupError: it is one that is not known here.
    """
    modules = _list(folder / "modules.json")
    for module in modules:
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind not in _PASSED_OVER:
            raise SetupError(
                f"'{folder}' has a layer {kind!r} after its pooling, which is not known here. With engine_args "
                '{"pooling": "mean"} the layer is left out.'
            )
    pooling = next((module for module in modules if str(module.get("type")).endswith("Pooling")), {})
    found = read_json(folder / pooling.get("path", "1_Pooling") / "config.json")
    modes = {name for name, is_on in found.items() if name.startswith("pooling_mode_") and is_on}
    if "pooling_mode" in found:
        modes = {next((mode for mode in _MODES if found["pooling_mode"] in mode), str(found["pooling_mode"]))}
    if not modes:
        return "mean"
    if len(modes) > 1 or not modes <= _MODES.keys():
        raise SetupError(
            f"'{folder}' pools by {', '.join(sorted(modes))}; known are: {', '.join(_MODES)}. "
            'Choose with engine_args {"pooling": "mean"}.'
        )
    return _MODES[modes.pop()]


def _list(file: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return []
    return content if isinstance(content, list) else []


def _reader(loaded: LoadedModel) -> Any:
    """The part of the model that ends with a vector for each token."""
    if loaded.kind == "encoder-decoder":
        return loaded.model.get_encoder()
    return loaded.model if loaded.kind == "encoder" else loaded.model.base_model


def _pooled(states: Any, mask: Any, lengths: Any, pooling: Pooling) -> Any:
    """states (inputs, tokens, size), mask (inputs, tokens, 1) → (inputs, size)"""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        return states[range(len(states)), lengths - 1]
    if pooling == "max":
        return states.masked_fill(~mask, float("-inf")).amax(dim=1)
    return (states * mask).sum(dim=1) / lengths[:, None]
