"""Samples as tensors."""

import numpy as np
import torch

from fastchat.train.batches import IGNORED, PackedBatch, PaddedBatch, PairBatch
from fastchat.train.encoding import Sample

SHORT = Sample(np.array([1, 2], np.uint16), np.array([True, True]))
LONG = Sample(np.array([3, 4, 5, 60000], np.uint16), np.array([False, False, True, True]), 0.5)


def test_packed_documents_are_told_apart_and_have_no_mask() -> None:
    batch = PackedBatch()([[LONG, SHORT], [SHORT]])

    assert batch["input_ids"].tolist() == [[3, 4, 5, 60000, 1, 2, 1, 2]]
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, 5, 60000, IGNORED, 2, IGNORED, 2]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1, 0, 1]]
    assert batch["cu_seq_lens_q"].tolist() == batch["cu_seq_lens_k"].tolist() == [0, 4, 6, 8]
    assert batch["cu_seq_lens_q"].dtype == torch.int32
    assert (batch["max_length_q"], batch["max_length_k"]) == (4, 4)
    assert "attention_mask" not in batch
    assert "loss_weights" not in batch


def test_rows_are_filled_up_with_a_document_that_trains_nothing() -> None:
    batch = PackedBatch(pad_id=9, pad_to=8)([[LONG, SHORT]])

    assert batch["input_ids"][0, 6:].tolist() == [9, 9]
    assert batch["labels"][0, 6:].tolist() == [IGNORED, IGNORED]
    assert batch["cu_seq_lens_q"].tolist() == [0, 4, 6, 8]


def test_padding_is_masked_by_its_place() -> None:
    """The pad token may be the stop token: an answer's own is trained all the same."""
    batch = PaddedBatch(pad_id=60000, multiple_of=3)([SHORT, LONG])

    assert batch["input_ids"].tolist() == [[1, 2, 60000, 60000, 60000, 60000], [3, 4, 5, 60000, 60000, 60000]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 2, *[IGNORED] * 4], [IGNORED, IGNORED, 5, 60000, IGNORED, IGNORED]]
    assert PaddedBatch(pad_id=0, pad_to=7)([SHORT])["input_ids"].shape == (1, 7)


def test_pairs_are_parted_into_question_and_answer() -> None:
    asked = Sample(np.array([7, 8, 9, 10], np.uint16), np.array([False, False, False, True]))

    batch = PairBatch(pad_id=0)([LONG, asked])

    assert batch["input_ids"].tolist() == [[3, 4, 0], [7, 8, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["labels"].tolist() == [[5, 60000], [10, IGNORED]]


def test_weights_stand_beside_labels() -> None:
    for batch in (
        PackedBatch(is_weighted=True)([[LONG, SHORT]]),
        PaddedBatch(0, is_weighted=True)([LONG, SHORT]),
        PairBatch(0, is_weighted=True)([LONG, LONG]),
    ):
        assert batch["loss_weights"].shape == batch["labels"].shape
        assert batch["loss_weights"].flatten()[0] == 0.5
