"""Small models and tokenizers, made here in a moment."""

from functools import cache
from typing import Any

from fastchat.data.records import Conversation

TEXTS = [
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful answers.",
    "USER: Who are you? ASSISTANT: I am Vicuna, a language model. What is the capital of France? Paris is the capital.",
    "system user assistant Tell me more about it, please. Of course! Hello, how can I help you today? Goodbye then.",
]


@cache
def llama_tokenizer() -> Any:
    """Built as LLaMA's: `<s>`, `</s>`, words that begin with `▁`, bytes for what it does not know."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    words = pre_tokenizers.Split("▁", "merged_with_next")
    backend.pre_tokenizer = words
    backend.train_from_iterator(TEXTS, trainer)
    backend.pre_tokenizer = None
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@cache
def chatml_tokenizer(eos: str = "<|im_end|>") -> Any:
    """Built as GPT-2's, over bytes, with ChatML's tokens."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        TEXTS, BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=eos, pad_token="<|endoftext|>")


def llama(vocabulary_size: int = 600, attention: str = "sdpa", **settings: Any) -> Any:
    """A random Llama of two layers, always the same."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary_size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, attn_implementation=attention, **settings,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


def conversation(*texts: str, id: str = "c", **fields: Any) -> Conversation:
    """What the two say in turn; the user begins."""
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]
    return Conversation(id, messages, **fields)
