"""What presidio reads texts with: words and their places, and, where an installed spaCy model is named, names in them.

presidio's own default would fetch a model from the network.
"""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

import spacy
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from fastchat.core.errors import SetupError

LANGUAGE = "en"  # of presidio's bookkeeping; our recognizers are for all
_LONGEST = 10**9  # characters; spaCy's own limit is for models that need memory


class Words(NlpEngine):  # type: ignore[misc]  # presidio has no types
    """Splits, and knows nothing of grammar; context words are compared as they are written."""

    def __init__(self, model: str | None = None) -> None:
        self._model = model
        self._spacy: Any = None  # Any: spaCy has no types here

    def load(self) -> None:
        if self._model is None:
            self._spacy = spacy.blank("xx")
        elif find_spec(self._model) is None:
            raise SetupError(
                f"--ner-model {self._model}: there is no such package here. Install a spaCy model first, or leave the "
                "flag out: then names are found by phrases only."
            )
        else:
            self._spacy = spacy.load(self._model, exclude=["parser", "lemmatizer", "textcat"])
        self._spacy.max_length = _LONGEST

    def is_loaded(self) -> bool:
        return self._spacy is not None

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        read = self._spacy(text)
        return NlpArtifacts(
            entities=list(read.ents),
            tokens=read,
            tokens_indices=[token.idx for token in read],
            lemmas=[token.lower_ for token in read],
            nlp_engine=self,
            language=language,
        )

    def process_batch(self, texts: Iterable[str], language: str, **_: Any) -> Iterator[tuple[str, NlpArtifacts]]:
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:
        return bool(self._spacy.vocab[word].is_stop)

    def is_punct(self, word: str, language: str) -> bool:
        return bool(self._spacy.vocab[word].is_punct)

    def get_supported_entities(self) -> list[str]:
        return ["PERSON", "LOCATION"] if self._model else []

    def get_supported_languages(self) -> list[str]:
        return [LANGUAGE]
