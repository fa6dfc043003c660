"""What FastChat 0.2.36 does with data, by its own functions. Run by its path, in its environment.

python benchmarks/peers/fastchat_data.py clean IN OUT
python benchmarks/peers/fastchat_data.py preprocess FILE TOKENIZER LENGTH
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from stopwatch import report  # beside this file


def clean(arguments: Sequence[str]) -> Callable[[], Mapping[str, Any]]:
    """`python3 -m fastchat.data.clean_sharegpt`: on all cores."""
    program = import_module("fastchat.data.clean_sharegpt")
    in_file, out_file = arguments

    def work() -> Mapping[str, Any]:
        program.main({"in_file": in_file, "out_file": out_file, "begin": None, "end": None})
        return {}

    return work


def preprocess(arguments: Sequence[str]) -> Callable[[], Mapping[str, Any]]:
    """What training makes of a file before its first step, without `--lazy_preprocess`."""
    from transformers import LlamaTokenizerFast
    from transformers.utils import logging

    logging.set_verbosity_error()  # that the tokenizer's files name another class

    train = _training()
    file, folder, length = arguments
    tokenizer = LlamaTokenizerFast.from_pretrained(folder, model_max_length=int(length), padding_side="right")
    tokenizer.pad_token = tokenizer.unk_token  # as it does for LLaMA
    tokenizer.legacy = True  # it takes the slow tokenizer, which says so; this one does the same, much quicker

    def work() -> Mapping[str, Any]:
        with open(file) as stream:
            samples = train.SupervisedDataset(json.load(stream), tokenizer)
        kept = (samples.input_ids, samples.labels, samples.attention_mask)
        return {
            "samples": len(samples),
            "tokens": int(samples.attention_mask.sum()),
            "trained": int((samples.labels != train.IGNORE_TOKEN_ID).sum()),
            "bytes": sum(tensor.nbytes for tensor in kept),
        }

    return work


def _training() -> ModuleType:
    """FastChat's module of training, without its adapters of models, which import what it takes to serve them."""
    from fastchat.conversation import get_conv_template

    adapters = ModuleType("fastchat.model.model_adapter")
    adapters.get_conversation_template = lambda name: get_conv_template("vicuna_v1.1")  # type: ignore[attr-defined]
    sys.modules["fastchat.model"] = ModuleType("fastchat.model")
    sys.modules["fastchat.model.model_adapter"] = adapters
    return import_module("fastchat.train.train")


WAYS = {"clean": clean, "preprocess": preprocess}

if __name__ == "__main__":
    report(WAYS[sys.argv[1]](sys.argv[2:]))
