"""Texts → vectors without a model, by the words in them: TF-IDF, reduced to its main directions.

A stated fallback: it knows no synonyms, and nothing of what one language has in common with another.
"""

from collections.abc import Sequence

import numpy as np

from fastchat.arena.leaderboard.topics.embedding import unit_length
from fastchat.arena.leaderboard.topics.words import words_of
from fastchat.core.errors import SetupError
from fastchat.ranking.comparisons import Floats

NAME = "tfidf"  # as a model's
_DIRECTIONS = 100
_MOST_WORDS = 50_000


def tfidf(texts: Sequence[str], seed: int) -> Floats:
    """Rows (texts, directions) of unit length.

    Raises:
        SetupError: there is no word in any of them.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        analyzer=words_of, sublinear_tf=True, max_df=0.5 if len(texts) > 4 else 1.0, max_features=_MOST_WORDS
    )
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:
        raise SetupError("The prompts have no words to go by. Give an embedding model with --model.") from None
    directions = min(_DIRECTIONS, counts.shape[1] - 1, counts.shape[0] - 1)
    if directions < 2:
        return unit_length(np.asarray(counts.todense(), dtype=np.float64))
    reduced = TruncatedSVD(n_components=directions, random_state=seed).fit_transform(counts)
    return unit_length(np.asarray(reduced, dtype=np.float64))
