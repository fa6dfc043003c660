"""Training steps of a model with random weights: tokens a second, model FLOPs utilisation, memory.

python -m benchmarks.training_gpu_steps TASK     prints a line of JSON; TASK is a `Task` as JSON
"""

import gc
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, cycle, islice
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from benchmarks.training_data import Numbers, rounds_of, sample_lengths
from benchmarks.training_steps import InMemory
from fastchat.train.batches import Batch, PackedBatch, PaddedBatch
from fastchat.train.estimates import Method, ModelSize, operations, read_hardware
from fastchat.train.estimates import measure as measure_size
from fastchat.train.packing import PackedRows
from fastchat.train.plan import AdapterChoice

PADDED, MASKED, VARLEN = "padded to the longest allowed", "packed, SDPA with a mask", "packed, varlen"
WARM_UP, CONVERSATIONS = 3, 1_000
_PAD = 0
_SHOWN = 80  # characters of an error
_LLAMA_3: Mapping[str, Any] = {"vocab_size": 128_256, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}


class Shape(NamedTuple):
    config: Mapping[str, Any]  # of LlamaConfig
    is_lora: bool = False


SHAPES: Mapping[str, Shape] = {
    "tiny": Shape(
        {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
        | {"num_attention_heads": 4, "num_key_value_heads": 2}
    ),
    "1B": Shape(
        {**_LLAMA_3, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16}
        | {"num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": True}
    ),
    "3B": Shape(
        {**_LLAMA_3, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28}
        | {"num_attention_heads": 24, "num_key_value_heads": 8, "tie_word_embeddings": True}
    ),
    "8B": Shape(
        {**_LLAMA_3, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32}
        | {"num_attention_heads": 32, "num_key_value_heads": 8},
        is_lora=True,
    ),
}


class Task(BaseModel):
    shape: str
    most: int  # tokens of a row
    rows: int  # of a batch
    layouts: list[str] = [PADDED, MASKED, VARLEN]
    compiled: list[bool] = [False, True]
    with_liger: bool = False
    steps: int = 6  # that are timed
    device: str = "cuda"


class Taken(BaseModel):
    layout: str
    is_compiled: bool
    tokens_per_s: float | None = None  # real ones
    mfu: float | None = None  # of what the device can do in bf16; of real tokens, which attend in their document alone
    peak_gib: float | None = None
    failed: str = ""


class Work(NamedTuple):
    batch: Batch
    lengths: Numbers  # of the documents in it


def measure(task: Task) -> list[Taken]:
    import torch

    from fastchat.train.attention import install

    install()
    torch.manual_seed(0)
    model, size = build(SHAPES[task.shape], task)
    found = []
    for layout in task.layouts:
        work = list(islice(batches(layout, task, model.config.vocab_size), WARM_UP + task.steps))
        for is_compiled in task.compiled:
            taken = Taken(layout=layout, is_compiled=is_compiled)
            try:
                _measure(taken, model, size, work, task)
            except torch.OutOfMemoryError:
                taken.failed = "out of memory"
            except RuntimeError as error:  # of the compiler
                taken.failed = str(error).strip().splitlines()[0][:_SHOWN]
            found.append(taken)
            _forget(model, task.device)
    return found


def build(shape: Shape, task: Task) -> tuple[Any, ModelSize]:
    """In full, weights are float32 and computed with in bf16; under LoRA, the base is bf16."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from fastchat.train import adapters

    config = LlamaConfig(max_position_embeddings=task.most, **shape.config)
    size = measure_size(config)
    with torch.device(task.device):
        dtype = torch.bfloat16 if shape.is_lora else torch.float32
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa").train()
    if task.with_liger:
        from transformers.integrations.liger import apply_liger_kernel  # as the recipe's `liger: true`

        apply_liger_kernel(model, None)
    if shape.is_lora:
        choice = AdapterChoice(rank=16, alpha=32, dropout=0.0, targets="all-linear")
        model = adapters.attach(model, choice, is_seq2seq=False, checkpoints_activations=False)
    return model, size


def batches(layout: str, task: Task, vocabulary: int) -> Iterator[Work]:
    """Of as many positions each, whatever is in them: what is compiled is compiled once."""
    rng = np.random.default_rng(0)
    drawn = [rounds_of(rng) for _ in range(CONVERSATIONS)]
    samples = InMemory(rng.permutation(sample_lengths(drawn, task.most)).tolist(), vocabulary)
    rows = samples if layout == PADDED else PackedRows(samples, task.most)
    collate: Any = (PaddedBatch if layout == PADDED else PackedBatch)(_PAD, pad_to=task.most)
    order = cycle(range(len(rows)))
    while True:
        chosen: list[Any] = [rows[at] for at in islice(order, task.rows)]
        documents = chosen if layout == PADDED else chain.from_iterable(chosen)
        yield Work(collate(chosen), np.array([len(document.ids) for document in documents]))


def _measure(taken: Taken, model: Any, size: ModelSize, work: Sequence[Work], task: Task) -> None:
    import torch

    from fastchat.train.attention import NAME

    # The base's own, also under an adapter; masks follow from position ids.
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.set_attn_implementation(NAME if taken.layout == VARLEN else "sdpa")
    called = torch.compile(model) if taken.is_compiled else model
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    is_gpu = task.device == "cuda"
    for number, (batch, _) in enumerate(work):
        if number == WARM_UP:
            _finish(is_gpu)
            began = time.perf_counter()
            if is_gpu:
                torch.cuda.reset_peak_memory_stats()
        on_device = {key: value.to(task.device) if hasattr(value, "to") else value for key, value in batch.items()}
        with _half(task.device):
            loss = called(**on_device, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    _finish(is_gpu)
    seconds = time.perf_counter() - began
    timed = np.concatenate([lengths for _, lengths in work[WARM_UP:]])
    taken.tokens_per_s = float(timed.sum()) / seconds
    if is_gpu:
        taken.peak_gib = torch.cuda.max_memory_allocated() / 2**30
        taken.mfu = _utilisation(size, timed, seconds, is_lora=SHAPES[task.shape].is_lora)


def _half(device: str) -> AbstractContextManager[Any]:
    import torch

    return torch.autocast(device, torch.bfloat16) if device == "cuda" else nullcontext()


def _finish(is_gpu: bool) -> None:
    import torch

    if is_gpu:
        torch.cuda.synchronize()


def _utilisation(size: ModelSize, lengths: Numbers, seconds: float, *, is_lora: bool) -> float | None:
    """None: what this device can do is not known."""
    import torch

    device = torch.cuda.get_device_name()
    known = (one for one in read_hardware() if one.name.split()[0] in device.split())
    if (hardware := next(known, None)) is None:
        return None
    method: Method = "LoRA" if is_lora else "full"
    done = sum(operations(size, length, length, method) for length in lengths.tolist())
    return done / seconds / (hardware.bf16_tflops * 1e12)


def _forget(model: Any, device: str) -> None:
    """Gradients, the optimizer, what was compiled."""
    import torch

    model.zero_grad(set_to_none=True)
    torch.compiler.reset()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    done = measure(Task.model_validate_json(sys.argv[1]))
    print(json.dumps([taken.model_dump() for taken in done]))
