"""TRL's trainers on samples that we encoded, and the batches that they take.

TRL would tokenise conversations again, and train the user's follow-up questions with the answers; its trainers are
given numbers of samples instead, which the collators look up. They also report every run to their makers and write a
page about the model; neither is done here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from trl import DPOTrainer, KTOTrainer, RewardTrainer

from fastchat.train.encoding import Sample
from fastchat.train.preference_samples import Pair, RatedSample

Row = Mapping[str, int]
NUMBER = "number"  # of a sample, in what trainer and collator share


class _OnOurSamples:
    def _prepare_dataset(self, dataset: Any, *others: Any, **more: Any) -> Any:
        return dataset

    def _send_telemetry(self) -> None:
        pass

    def create_model_card(self, *others: Any, **more: Any) -> None:
        pass


class DpoTuner(_OnOurSamples, DPOTrainer):  # type: ignore[misc]  # TRL has no types for us
    pass


class KtoTuner(_OnOurSamples, KTOTrainer):  # type: ignore[misc]
    pass


class RewardTuner(_OnOurSamples, RewardTrainer):  # type: ignore[misc]
    pass


def rows(first: int, count: int) -> Any:
    """A dataset of TRL's kind: numbers of samples."""
    from datasets import Dataset

    return Dataset.from_dict({NUMBER: list(range(first, first + count))})


@dataclass(frozen=True, slots=True)
class PairsBatch:
    """The chosen ones, and below them the rejected ones: (2 · pairs, longest)."""

    pairs: Sequence[Pair]
    pad_id: int
    is_masked: bool = True  # a reward model reads whole conversations

    def __call__(self, given: Sequence[Row]) -> dict[str, torch.Tensor]:
        found = [self.pairs[row[NUMBER]] for row in given]
        batch = _padded([*(one.chosen for one in found), *(one.rejected for one in found)], self.pad_id)
        return batch if self.is_masked else {name: batch[name] for name in ("input_ids", "attention_mask")}


@dataclass(frozen=True, slots=True)
class RatedBatch:
    """Answers beside their labels; and, as `KL_…`, each prompt with the answer to the one before it, by which KTO
    measures how far the model has moved (arXiv 2402.01306, section 4.1)."""

    samples: Sequence[RatedSample]
    pad_id: int
    max_length: int

    def __call__(self, given: Sequence[Row]) -> dict[str, torch.Tensor]:
        found = [self.samples[row[NUMBER]] for row in given]
        samples = [one.sample for one in found]
        before = [samples[-1], *samples[:-1]]
        others = [self._crossed(one, other) for one, other in zip(samples, before, strict=True)]
        return {
            **_padded(samples, self.pad_id),
            **{f"KL_{name}": values for name, values in _padded(others, self.pad_id).items()},
            "label": torch.tensor([one.is_wanted for one in found]),
        }

    def _crossed(self, asked: Sample, answered: Sample) -> Sample:
        prompt, answer = (int(sample.trained.argmax()) for sample in (asked, answered))
        ids = np.concatenate([asked.ids[:prompt], answered.ids[answer:]])[: self.max_length]
        trained = np.concatenate([asked.trained[:prompt], answered.trained[answer:]])[: self.max_length]
        return Sample(ids, trained)


def _padded(samples: Sequence[Sample], pad_id: int) -> dict[str, torch.Tensor]:
    shape = (len(samples), max(len(sample.ids) for sample in samples))
    ids = torch.full(shape, pad_id)
    attended, compared = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    for row, sample in enumerate(samples):
        length = len(sample.ids)
        ids[row, :length] = torch.from_numpy(sample.ids.astype(np.int64))
        attended[row, :length] = 1
        compared[row, :length] = torch.from_numpy(sample.trained.astype(np.int64))
    return {"input_ids": ids, "attention_mask": attended, "completion_mask": compared}
