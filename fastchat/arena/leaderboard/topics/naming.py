"""Key words of groups, without a model: words that are frequent in a group and rare in the others (class-based TF-IDF).

The weight of word w in group c is tf(w, c) * log(1 + A / f(w)): tf is its share of the group's words, f how often it
stands in all groups, A the mean number of words a group. A word counts once a prompt, so no prompt alone names a group.
"""

from collections.abc import Sequence

import numpy as np

from fastchat.arena.leaderboard.topics.clustering import NOISE, Groups
from fastchat.arena.leaderboard.topics.words import words_of

KEY_WORDS = 5
# Of requests, whatever they are about.
_OF_REQUESTS = frozenset(
    ("following", "given", "help", "just", "like", "make", "need", "please", "use", "used", "using", "want")
)


def key_words(texts: Sequence[str], groups: Groups, count: int = KEY_WORDS) -> list[list[str]]:
    """Of each group, the weightiest first."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

    def analyzed(text: str) -> set[str]:
        return {word for word in words_of(text) if word not in ENGLISH_STOP_WORDS and word not in _OF_REQUESTS}

    placed = np.flatnonzero(groups != NOISE).tolist()
    vectorizer = CountVectorizer(analyzer=analyzed, binary=True)
    try:
        in_texts = vectorizer.fit_transform(texts[place] for place in placed)
    except ValueError:  # not one word anywhere
        return [[] for _ in range(int(groups.max()) + 1)]
    numbers = groups[placed]
    counts = np.array([np.asarray(in_texts[numbers == group].sum(axis=0))[0] for group in range(numbers.max() + 1)])
    words = vectorizer.get_feature_names_out()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    weights = share * np.log1p(counts.sum() / len(counts) / counts.sum(axis=0))
    return [
        _distinct([str(words[at]) for at in np.argsort(-row, kind="stable") if row[at] > 0], count) for row in weights
    ]


def _distinct(words: Sequence[str], count: int) -> list[str]:
    """The first ones, of which none is the beginning of another: of "poem" and "poems" the weightier says enough."""
    kept: list[str] = []
    for word in words:
        if len(kept) == count:
            break
        if not any(word.startswith(other) or other.startswith(word) for other in kept):
            kept.append(word)
    return kept
