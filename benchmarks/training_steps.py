"""Forward and backward over the same samples, brought to the model in several ways: what it costs, and the loss.

python -m benchmarks.training_steps TASK     prints a `Taken` for each way, as JSON; TASK is a `Task` as JSON

One thread; the ways take turns step by step.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel

from benchmarks.training_data import Numbers
from fastchat.train.batches import IGNORED, Batch, PackedBatch, PaddedBatch
from fastchat.train.encoding import Sample
from fastchat.train.packing import PackedRows

PADDED, DYNAMIC = "padded to the longest allowed, as FastChat", "padded to the longest of a batch"
GROUPED, PACKED, MASKED = "the same, grouped by length", "packed, documents one by one", "packed, with a mask"
TOGETHER = 2  # samples a batch, as FastChat's command has it
_ANSWERED = 0.78  # of the tokens
_PAD = 0


class Task(BaseModel):
    model: Literal["builtin", "tiny"]
    most: int
    lengths: list[int]
    rounds: int


class Taken(BaseModel):
    """By one way."""

    cpu_s: list[float]
    positions: int  # that are computed
    loss: float


class InMemory:
    """Samples of random tokens; the last of each are an answer."""

    def __init__(self, lengths: Sequence[int], vocabulary: int) -> None:
        rng = np.random.default_rng(0)
        self.lengths: Numbers = np.asarray(lengths, dtype=np.int64)
        self._samples = [
            Sample(rng.integers(1, vocabulary, length), np.arange(length) >= (1 - _ANSWERED) * length)
            for length in lengths
        ]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


class Way(NamedTuple):
    attention: str  # of transformers
    batches: Sequence[Batch]


def ways(samples: InMemory, most: int) -> Mapping[str, Way]:
    from fastchat.train.attention import NAME

    order = np.random.default_rng(1).permutation(len(samples)).tolist()
    grouped = np.argsort(-samples.lengths).tolist()  # in so few, as like as neighbours of thousands are
    rows = PackedRows(samples, most)
    packed = [PackedBatch()([rows[at]]) for at in range(len(rows))]
    return {
        PADDED: Way("sdpa", _beside(samples, order, PaddedBatch(_PAD, pad_to=most))),
        DYNAMIC: Way("sdpa", _beside(samples, order, PaddedBatch(_PAD))),
        GROUPED: Way("sdpa", _beside(samples, grouped, PaddedBatch(_PAD))),
        PACKED: Way(NAME, packed),
        MASKED: Way("sdpa", packed),
    }


def _beside(samples: InMemory, order: Sequence[int], collate: Callable[[Sequence[Sample]], Batch]) -> list[Batch]:
    numbers = [order[at : at + TOGETHER] for at in range(0, len(order), TOGETHER)]
    return [collate([samples[number] for number in some]) for some in numbers]


def measure(task: Task) -> Mapping[str, Taken]:
    import torch

    from fastchat.train.attention import install

    install()
    torch.set_num_threads(1)
    model = _load(task.model)
    samples = InMemory(task.lengths, model.config.vocab_size)
    compared = ways(samples, task.most)
    trained = sum(int((batch["labels"] != IGNORED).sum()) for batch in compared[PADDED].batches)
    _step(model, next(iter(compared[PACKED].batches)), compared[PACKED].attention, trained)  # the first is slower
    found = {
        name: Taken(cpu_s=[], positions=sum(batch["input_ids"].numel() for batch in way.batches), loss=0.0)
        for name, way in compared.items()
    }
    for _ in range(task.rounds):
        for taken in found.values():
            taken.cpu_s.append(0.0)
            taken.loss = 0.0
        for name, batch in _in_turns(compared):
            began = time.process_time()
            found[name].loss += _step(model, batch, compared[name].attention, trained)
            found[name].cpu_s[-1] += time.process_time() - began
    return found


def _in_turns(compared: Mapping[str, Way]) -> Iterator[tuple[str, Batch]]:
    for batches in zip_longest(*(way.batches for way in compared.values())):
        for name, batch in zip(compared, batches, strict=True):
            if batch is not None:
                yield name, batch


def _step(model: Any, batch: Batch, attention: str, trained: int) -> float:
    """Gradients add up, as for one update; its own cost is the same for all. `trained` are all tokens of the update."""
    model.set_attn_implementation(attention)
    loss = model(**batch, num_items_in_batch=trained, use_cache=False).loss
    loss.backward()
    return float(loss.detach())


def _load(name: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    from fastchat.model import builtin

    if name == "builtin":
        model = AutoModelForCausalLM.from_pretrained(builtin.ensure_safetensors(), dtype=torch.float32)
    else:
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=4096, hidden_size=64, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4,
                max_position_embeddings=2048,
            )
        )  # fmt: skip
    return model.train()


if __name__ == "__main__":
    taken = measure(Task.model_validate_json(sys.argv[1]))
    print(json.dumps({name: one.model_dump() for name, one in taken.items()}))
