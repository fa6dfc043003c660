"""Conversations that hold questions a model will be evaluated with: learned by heart, they would be no measure.

As in GPT-3 (Brown et al., 2020): 13 words in a row in common. And what was only edited: half of the sequences of three
words in common with a message; short questions, all of them. Questions are handed in; this package knows no benchmark.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from fastchat.data.cleaning.rules import Dropped
from fastchat.data.records import Conversation
from fastchat.data.texts import excerpt, shingles, texts, words_of

_ROW = 13
_ALIKE = 0.5
_SHORT = 12  # sequences of three words: "Write a story about a …" is half of many questions
_FEWEST_WORDS = 6  # shorter questions are anybody's


class Question(NamedTuple):
    id: str  # of the set and of the question, for the report
    text: str


@dataclass(frozen=True, slots=True)
class Contamination:
    questions: tuple[Question, ...]
    name: str = "contamination"

    def apply(self, conversation: Conversation) -> Dropped | None:
        known = _index(self.questions)
        for text in texts(conversation):
            if found := known.find(text):
                return Dropped(found.id, excerpt(found.text))
        return None


class _Index:
    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions: list[tuple[Question, int]] = []  # and how many sequences of three words it has
        self._with: dict[str, list[int]] = {}  # sequence of three words: numbers of questions
        self._rows: dict[tuple[str, ...], Question] = {}
        for question in questions:
            words = words_of(question.text)
            if len(words) < _FEWEST_WORDS:
                continue
            pieces = set(shingles(words))
            for piece in pieces:
                self._with.setdefault(piece, []).append(len(self._questions))
            self._questions.append((question, len(pieces)))
            for row in _rows(words):
                self._rows.setdefault(row, question)
        self._pieces = frozenset(self._with)

    def find(self, text: str) -> Question | None:
        words = words_of(text)
        pieces = set(shingles(words))
        common = self._pieces & pieces
        if len(common) >= _ROW - 2 and (row := next((row for row in _rows(words) if row in self._rows), None)):
            return self._rows[row]  # a row of 13 has 11 sequences of three
        shared = Counter(chain.from_iterable(map(self._with.__getitem__, common)))
        for number, count in shared.items():
            question, size = self._questions[number]
            if count >= (_ALIKE if size >= _SHORT else 1) * (len(pieces) + size - count):
                return question
        return None


def _rows(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(words[at:] for at in range(_ROW)), strict=False)


@lru_cache(maxsize=1)
def _index(questions: tuple[Question, ...]) -> _Index:
    return _Index(questions)
