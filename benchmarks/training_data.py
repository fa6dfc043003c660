"""Conversations to measure with, synthetic: about as long as ShareGPT's, of words as often as English has them.

Lengths are lognormal. On average, as in ShareGPT, there are 3.5 rounds, 94 tokens a question and 351 an answer; half of
the conversations have more than 850 tokens, a tenth more than 3,700, a hundredth more than 10,000.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastchat.data.records import Conversation
from fastchat.data.splitting import split

Numbers = NDArray[np.int64]


class _LogNormal(NamedTuple):
    mean: float
    sigma: float  # of the logarithm

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.lognormal(np.log(self.mean) - self.sigma**2 / 2, self.sigma))


_ROUNDS, _ASKED, _ANSWERED = _LogNormal(3.45, 1.0), _LogNormal(94.5, 1.4), _LogNormal(351.5, 1.0)
_TOKENS_A_WORD = 1.4
_WORDS_A_SENTENCE = 12


class Round(NamedTuple):
    asked: int  # tokens
    answered: int


def rounds_of(rng: np.random.Generator) -> list[Round]:
    """Of one conversation."""
    count = max(1, round(_ROUNDS.draw(rng)))
    return [Round(1 + int(_ASKED.draw(rng)), 1 + int(_ANSWERED.draw(rng))) for _ in range(count)]


def sample_lengths(conversations: Sequence[Sequence[Round]], most: int) -> Numbers:
    """Tokens of the samples that these become: split at rounds where they are too long, and what still is, cut."""
    found = []
    for rounds in conversations:
        lengths = [tokens for turn in rounds for tokens in turn]
        parts = split(_numbered(len(lengths)), lengths, most)
        found += [min(most, sum(lengths[int(message["content"])] for message in part.messages)) for part in parts]
    return np.asarray(found, dtype=np.int64)


def _numbered(messages: int) -> Conversation:
    """Each message says which it is."""
    roles = ("user", "assistant")
    return Conversation("c", [{"role": roles[at % 2], "content": str(at)} for at in range(messages)])


def spread_evenly(lengths: Numbers, count: int) -> Numbers:
    """So few that stand for all: from the middle of each of `count` equal parts of the sorted lengths."""
    places = ((np.arange(count) + 0.5) / count * len(lengths)).astype(int)
    chosen: Numbers = np.sort(lengths)[places]
    return chosen


class Prose:
    """Words as often as in Python's language reference, in no order: texts share words, but hardly three in a row."""

    def __init__(self, rng: np.random.Generator) -> None:
        counts = Counter(word for text in topics.values() for word in re.findall(r"[A-Za-z]+", text))
        self._words = np.array(list(counts))
        shares = np.array(list(counts.values()), dtype=float)
        self._shares = np.cumsum(shares / shares.sum())
        self._rng = rng

    def words(self, tokens: int) -> list[str]:
        """About so many tokens of a usual tokenizer."""
        drawn = self._rng.random(max(1, round(tokens / _TOKENS_A_WORD)))
        places = np.minimum(np.searchsorted(self._shares, drawn), len(self._words) - 1)
        found: list[str] = self._words[places].tolist()
        return found


def sentences(words: Sequence[str]) -> str:
    parts = (" ".join(words[at : at + _WORDS_A_SENTENCE]) for at in range(0, len(words), _WORDS_A_SENTENCE))
    return " ".join(f"{part.capitalize()}." for part in parts)


def conversations(count: int, seed: int = 0) -> Iterator[Conversation]:
    rng = np.random.default_rng(seed)
    prose = Prose(rng)
    for number in range(count):
        messages = [
            {"role": role, "content": sentences(prose.words(tokens))}
            for turn in rounds_of(rng)
            for role, tokens in zip(("user", "assistant"), turn, strict=True)
        ]
        yield Conversation(f"c{number}", messages)


def write_tokenizer(folder: Path, texts: Iterable[str]) -> None:
    """One built as LLaMA's, of 4,096 pieces learned from these texts, in files that old libraries read, too."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = BpeTrainer(vocab_size=4096, special_tokens=special, show_progress=False)
    backend.train_from_iterator(texts, trainer)
    backend.pre_tokenizer = None
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>"
    )
    made.save_pretrained(folder)
    file = folder / "tokenizer.json"
    described = json.loads(file.read_text())
    described["model"]["merges"] = [" ".join(pair) for pair in described["model"]["merges"]]  # as it was until 2024
    file.write_text(json.dumps(described, ensure_ascii=False))
