"""Batches of tensors. A document's first label is always ignored: nothing before it could predict it.

A batch has `loss_weights`, a float for each label, only if its collator was made with `is_weighted`; whoever computes
the loss takes it out before the model is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from fastchat.train.encoding import Sample

IGNORED = -100

Batch: TypeAlias = dict[str, Any]  # tensors, and two numbers of a packed one


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Rows of `PackedRows`, one behind the other: (1, tokens).

    `input_ids`, `labels`, `position_ids` that begin again with each document, `cu_seq_lens_q` and `_k`,
    `max_length_q` and `_k`. There is no attention mask: with one, transformers would let documents see each other.
    """

    pad_id: int = 0
    pad_to: int | None = (
        None  # fill up to so many tokens a row, for compiled models; what fills is a document of its own
    )
    is_weighted: bool = False

    def __call__(self, rows: Sequence[Sequence[Sample]]) -> Batch:
        documents = [sample for row in rows for sample in row]
        if self.pad_to is not None:
            missing = self.pad_to * len(rows) - sum(len(document.ids) for document in documents)
            if missing > 0:
                documents.append(Sample(np.full(missing, self.pad_id), np.zeros(missing, dtype=np.bool_)))
        lengths = [len(document.ids) for document in documents]
        ends = torch.tensor(np.cumsum([0, *lengths]), dtype=torch.int32)
        longest = self.pad_to or max(lengths)
        batch: Batch = {
            "input_ids": torch.cat([_ids(document) for document in documents])[None],
            "labels": torch.cat([_labels(document) for document in documents])[None],
            "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
            "cu_seq_lens_q": ends,
            "cu_seq_lens_k": ends,
            "max_length_q": longest,
            "max_length_k": longest,
        }
        if self.is_weighted:
            batch["loss_weights"] = torch.cat([torch.full((len(one.ids),), one.weight) for one in documents])[None]
        return batch


@dataclass(frozen=True, slots=True)
class PaddedBatch:
    """Samples beside one another, (samples, longest), with an attention mask."""

    pad_id: int
    pad_to: int | None = None  # always so long, as FastChat padded
    multiple_of: int = 1
    is_weighted: bool = False

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        longest = self.pad_to or max(len(sample.ids) for sample in samples)
        length = _rounded(longest, self.multiple_of)
        labels = _beside([_labels(sample) for sample in samples], length, IGNORED)
        batch: Batch = {
            "input_ids": _beside([_ids(sample) for sample in samples], length, self.pad_id),
            "attention_mask": _beside([torch.ones(len(sample.ids), dtype=torch.long) for sample in samples], length, 0),
            "labels": labels,
        }
        if self.is_weighted:
            batch["loss_weights"] = _weights(samples, labels)
        return batch


@dataclass(frozen=True, slots=True)
class PairBatch:
    """For encoder-decoders: questions as `input_ids` with a mask, answers as `labels`."""

    pad_id: int
    multiple_of: int = 1
    is_weighted: bool = False

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        ids = [_ids(sample) for sample in samples]
        questions = [row[~torch.from_numpy(sample.trained)] for row, sample in zip(ids, samples, strict=True)]
        answers = [row[torch.from_numpy(sample.trained)] for row, sample in zip(ids, samples, strict=True)]
        length = _rounded(max(map(len, questions)), self.multiple_of)
        labels = _beside(answers, _rounded(max(map(len, answers)), self.multiple_of), IGNORED)
        batch: Batch = {
            "input_ids": _beside(questions, length, self.pad_id),
            "attention_mask": _beside([torch.ones_like(question) for question in questions], length, 0),
            "labels": labels,
        }
        if self.is_weighted:
            batch["loss_weights"] = _weights(samples, labels)
        return batch


def _ids(sample: Sample) -> torch.Tensor:
    return torch.from_numpy(sample.ids.astype(np.int64))


def _labels(sample: Sample) -> torch.Tensor:
    labels = np.where(sample.trained, sample.ids.astype(np.int64), IGNORED)
    labels[0] = IGNORED
    return torch.from_numpy(labels)


def _weights(samples: Sequence[Sample], labels: torch.Tensor) -> torch.Tensor:
    return torch.tensor([sample.weight for sample in samples])[:, None].expand(labels.shape)


def _beside(parts: Sequence[torch.Tensor], length: int, filling: int) -> torch.Tensor:
    rows = torch.full((len(parts), length), filling, dtype=torch.long)
    for row, part in zip(rows, parts, strict=True):
        row[: len(part)] = part
    return rows


def _rounded(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
