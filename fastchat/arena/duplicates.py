"""Which prompts come too often to count like others: "hi" from everybody, or one voter's favourite again and again.

Prompts are known by keyed digests, so neither memory nor store holds them a second time, and nobody without the key can
try out what was asked. Only repetitions that differ in case, blanks and punctuation are found; paraphrases are not.
"""

import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import NamedTuple, TypeVar

from fastchat.arena.folding import fold

_Key = TypeVar("_Key", bound=Hashable)

DIGEST_BYTES = 16
LONGEST_PROMPT = 10_000  # characters that are compared, as FastChat did
QUANTILE = 0.9999  # FastChat's cut
_OPERATORS = frozenset("+-*/%^=<>&|!")  # a word of its own, these mean something: "3 - 2" is not "3 / 2"


def normalise(prompt: str) -> str:
    """Without regard to case, blanks and the punctuation around words; a prompt of punctuation alone stays."""
    folded = fold(prompt[:LONGEST_PROMPT])
    words = (word if _OPERATORS.issuperset(word) else _bare(word) for word in folded.split())
    return " ".join(word for word in words if word) or folded


def digest(prompt: str, key: bytes) -> str:
    """The same for all prompts that count as one."""
    return blake2b(normalise(prompt).encode("utf-8", "replace"), key=key, digest_size=DIGEST_BYTES).hexdigest()


def _bare(word: str) -> str:
    start, end = 0, len(word)
    while start < end and _is_punctuation(word[start]):
        start += 1
    while end > start and _is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end]


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char).startswith("P")


@dataclass(frozen=True, slots=True)
class Sightings:
    """How often a prompt was sent within the window before this time."""

    by_all: int
    by_voter: int
    limit: int

    @property
    def is_frequent(self) -> bool:
        """With this one it has come more often than the limit."""
        return self.by_all >= self.limit

    @property
    def is_repeated(self) -> bool:
        return self.by_voter > 0


class _Sent(NamedTuple):
    at: float
    prompt: str
    voter: str


class RecentPrompts:
    """Counts digests within a window of time. It remembers `capacity` prompts, then the oldest first goes."""

    def __init__(self, *, window_s: float, limit: int, capacity: int, clock: Callable[[], float]) -> None:
        assert window_s > 0
        assert limit > 0
        assert capacity > 0
        self._window_s = window_s
        self._limit = limit
        self._capacity = capacity
        self._clock = clock
        self._sent: deque[_Sent] = deque()
        self._by_all: Counter[str] = Counter()
        self._by_voter: Counter[tuple[str, str]] = Counter()

    def add(self, prompt: str, voter: str) -> Sightings:
        """`prompt` is its digest. Returns what was known before it came."""
        now = self._clock()
        self._forget(now)
        seen = Sightings(self._by_all[prompt], self._by_voter[prompt, voter], self._limit)
        self._sent.append(_Sent(now, prompt, voter))
        self._by_all[prompt] += 1
        self._by_voter[prompt, voter] += 1
        if len(self._sent) > self._capacity:
            self._drop_oldest()
        return seen

    @property
    def counts(self) -> Mapping[str, int]:
        self._forget(self._clock())
        return dict(self._by_all)

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0].at <= now - self._window_s:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._sent.popleft()
        _count_down(self._by_all, oldest.prompt)
        _count_down(self._by_voter, (oldest.prompt, oldest.voter))


def _count_down(counts: Counter[_Key], key: _Key) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


@dataclass(frozen=True, slots=True)
class DuplicateTag:
    """FastChat's `dedup_tag`."""

    high_freq: bool
    sampled: bool  # belongs to the sample that counts


def frequency_cut(counts: Iterable[int], quantile: float = QUANTILE) -> float:
    """The count at the quantile, between two counts in proportion; a prompt with a higher count is too frequent.

    Raises:
        ValueError: there are no counts.
    """
    ordered = sorted(counts)
    if not ordered or not 0 <= quantile <= 1:
        raise ValueError("A cut needs counts, and a quantile between 0 and 1.")
    place = quantile * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def deduplicate(prompts: Sequence[str], rng: Random, quantile: float = QUANTILE) -> list[DuplicateTag]:
    """FastChat's rule, row by row: of a prompt above the cut, as many rows as the cut says are drawn and count."""
    if not prompts:
        return []
    rows: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        rows.setdefault(prompt, []).append(row)
    cut = frequency_cut(map(len, rows.values()), quantile)
    tags = [DuplicateTag(high_freq=False, sampled=True)] * len(prompts)
    for same in rows.values():
        if len(same) > cut:
            sampled = set(rng.sample(same, int(cut)))
            for row in same:
                tags[row] = DuplicateTag(high_freq=True, sampled=row in sampled)
    return tags
