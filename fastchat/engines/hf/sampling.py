"""How the next token is drawn: logits in, tokens out, for all sequences of a step at once.

In the field's order: bias, penalties (repetition over prompt and answer, presence and frequency over the answer), the
form the answer must have, temperature, top_k, top_p, min_p. Each request has random numbers of its own, one a token, so
that what it draws does not depend on who is computed beside it.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from fastchat.engines.base import Sampling

# top_p keeps few tokens as a rule, and finding the best few is much cheaper than sorting a whole vocabulary.
_BEST = (256, 2048)


# Below, numbers would overflow, and nothing but the likeliest token is ever drawn.
_COLDEST = 1e-5


class Sampler:
    """The state of one request."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], forbidden: Collection[int] = ()) -> None:
        """`forbidden` tokens are never drawn."""
        self.sampling = sampling
        self._bias = {**sampling.logit_bias, **dict.fromkeys(forbidden, -math.inf)}
        self._prompt = frozenset(prompt) if sampling.repetition_penalty != 1 else frozenset()
        self._answer: Counter[int] = Counter()
        self._random = Random(sampling.seed)

    @property
    def is_greedy(self) -> bool:
        return self.sampling.temperature < _COLDEST

    def next_number(self) -> float:
        return self._random.random()

    def note(self, token: int) -> None:
        self._answer[token] += 1

    def adjust(self, logits: Tensor) -> None:
        """Bias and penalties, in place. `logits` is (vocabulary,)."""
        sampling = self.sampling
        if self._bias:
            logits[_index(self._bias, logits)] += _values(self._bias.values(), logits)
        if sampling.repetition_penalty != 1 and (seen := self._prompt | self._answer.keys()):
            places = _index(seen, logits)
            old = logits[places]
            factor = sampling.repetition_penalty
            logits[places] = torch.where(old > 0, old / factor, old * factor)
        if (sampling.presence_penalty or sampling.frequency_penalty) and self._answer:
            places = _index(self._answer, logits)
            counts = _values(self._answer.values(), logits)
            logits[places] -= sampling.presence_penalty + sampling.frequency_penalty * counts


def draw(logits: Tensor, samplers: Sequence[Sampler], allowed: Sequence[Tensor | None] | None = None) -> list[int]:
    """The next token of each row. `logits` (rows, vocabulary) are changed; `allowed` are masks over the vocabulary."""
    for row, sampler in enumerate(samplers):
        sampler.adjust(logits[row])
        if allowed is not None and (mask := allowed[row]) is not None:
            logits[row].masked_fill_(~mask.to(logits.device), -torch.inf)
    tokens = [0] * len(samplers)
    free = [row for row, sampler in enumerate(samplers) if not sampler.is_greedy]
    greedy = [row for row, sampler in enumerate(samplers) if sampler.is_greedy]
    if greedy:
        best = (logits if len(greedy) == len(samplers) else logits[greedy]).argmax(-1)
        for row, token in zip(greedy, best.tolist(), strict=True):
            tokens[row] = token
    if free:
        drawn = _draw_free(logits if len(free) == len(samplers) else logits[free], [samplers[row] for row in free])
        for row, token in zip(free, drawn, strict=True):
            tokens[row] = token
    return tokens


class Candidates(NamedTuple):
    """What top_k, top_p and min_p leave of each row, among its best tokens."""

    probabilities: Tensor  # (rows, candidates), best first, not normalised; 0 for what was cut
    tokens: Tensor  # (rows, candidates)
    has_all: Tensor  # (rows,): nothing that is to be kept lies beyond these candidates


def _draw_free(logits: Tensor, samplers: Sequence[Sampler]) -> list[int]:
    settings = [sampler.sampling for sampler in samplers]
    logits = logits / _column([setting.temperature for setting in settings], logits)
    numbers = _column([sampler.next_number() for sampler in samplers], logits)
    tokens = torch.empty((len(samplers), 1), dtype=torch.long, device=logits.device)
    if whole := [row for row, setting in enumerate(settings) if not _is_cut(setting)]:
        tokens[whole] = _pick(logits[whole].softmax(-1), numbers[whole])
    cut = [row for row, setting in enumerate(settings) if _is_cut(setting)]
    for count in (*(number for number in _BEST if number < logits.shape[-1]), logits.shape[-1]):
        if not cut:
            break
        found = candidates(logits[cut], [settings[row] for row in cut], count)
        tokens[cut] = found.tokens.gather(-1, _pick(found.probabilities, numbers[cut]))
        cut = [row for row, is_done in zip(cut, found.has_all.tolist(), strict=True) if not is_done]
    drawn: list[int] = tokens[:, 0].tolist()
    return drawn


def candidates(logits: Tensor, settings: Sequence[Sampling], count: int) -> Candidates:
    """`logits` are divided by the temperature already."""
    vocabulary = logits.shape[-1]
    best, tokens = logits.topk(count, -1)
    probabilities = (best - logits.logsumexp(-1, keepdim=True)).exp()
    top_k = _column(
        [setting.top_k if setting.top_k and setting.top_k > 0 else vocabulary for setting in settings], best
    )
    top_p = _column([setting.top_p for setting in settings], best)
    least = _column([setting.min_p for setting in settings], best) * probabilities[:, :1]
    has_all = (probabilities[:, -1:] < least) | ((top_p < 1) & (probabilities.sum(-1, keepdim=True) >= top_p))
    # top_p is a share of what top_k leaves, so its share is not known before all of that is.
    has_all &= (top_k >= vocabulary) | (top_p >= 1)
    has_all |= top_k <= count
    probabilities = probabilities.masked_fill(torch.arange(count, device=best.device) >= top_k, 0)
    mass = torch.where(top_k < vocabulary, probabilities.sum(-1, keepdim=True), 1)
    before = probabilities.cumsum(-1) - probabilities
    is_cut = ((top_p < 1) & (before >= top_p * mass)) | (probabilities < least)
    return Candidates(probabilities.masked_fill(is_cut, 0), tokens, has_all[:, 0])


def _pick(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """In each row the place where the sum of probabilities first exceeds its number (of a whole of 1), (rows, 1)."""
    precise = torch.float32 if probabilities.device.type == "mps" else torch.float64
    sums = probabilities.cumsum(-1, dtype=precise)
    whole = sums[:, -1:].contiguous()
    # Rounding must not lead to the end, behind the last token that is possible at all.
    below = torch.nextafter(whole, torch.zeros_like(whole))
    places = torch.searchsorted(sums, torch.minimum(numbers.to(precise) * whole, below), right=True)
    # Where nothing is possible, or the model has made no numbers, all tokens are equally wrong.
    return places.clamp_max(probabilities.shape[-1] - 1)


def _is_cut(setting: Sampling) -> bool:
    return setting.top_p < 1 or setting.min_p > 0 or bool(setting.top_k and setting.top_k > 0)


def _column(values: Iterable[float], like: Tensor) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float32, device=like.device)[:, None]


def _index(tokens: Iterable[int], like: Tensor) -> Tensor:
    return torch.tensor(list(tokens), dtype=torch.long, device=like.device)


def _values(values: Iterable[float], like: Tensor) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float32, device=like.device)
