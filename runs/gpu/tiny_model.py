"""A random model in a folder, so small that a whole story runs in a minute: tiny_model.py KIND FOLDER DATA

Its tokenizer is built as LLaMA's, and learned from the conversations. What it says means nothing.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from fastchat.data.readers.conversations import read_conversations
from fastchat.data.texts import text_of

_WORDS = 2000


def tokenizer(data: Path) -> Any:
    """`<s>`, `</s>`, words that begin with `▁`, bytes for what it does not know."""
    backend = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # while it learns
    said = (text_of(message) for conversation in read_conversations(data) for message in conversation.messages)
    backend.train_from_iterator(said, BpeTrainer(vocab_size=_WORDS, special_tokens=special, show_progress=False))
    backend.pre_tokenizer = None
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>"
    )


def llama(words: int, positions: int = 2048) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=words, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=positions, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


def t5(words: int) -> Any:
    config = transformers.T5Config(
        vocab_size=words, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu",
        pad_token_id=0, eos_token_id=2, decoder_start_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip
    return transformers.T5ForConditionalGeneration(config)


KINDS: Mapping[str, Callable[[int], Any]] = {"llama": llama, "short-llama": lambda words: llama(words, 128), "t5": t5}


def main() -> None:
    kind, folder, data = sys.argv[1:]
    torch.manual_seed(0)
    learned = tokenizer(Path(data))
    KINDS[kind](len(learned)).save_pretrained(folder)
    learned.save_pretrained(folder)


if __name__ == "__main__":
    main()
