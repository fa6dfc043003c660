"""Finds personal data in a text with presidio and patterns of our own, without asking anything of the network."""

import hashlib
import logging
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from typing import Any, NamedTuple

from fastchat.core.errors import MissingPackage

_THRESHOLD = 0.4  # presidio's weakest patterns count only beside a word that supports them
_SHORTEST = 4  # of what is looked for again elsewhere
_LABELS = {"PERSON": "NAME", "PER": "NAME", "LOC": "LOCATION", "GPE": "LOCATION", "FAC": "LOCATION"}


class Found(NamedTuple):
    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Recognizer:
    """As the manifest of a release names it."""

    kind: str
    name: str
    source: str


class Unreadable(Exception):
    """A text could not be searched to its end, so nothing can be said about it."""


class Finder:
    def __init__(self, ner_model: str | None = None) -> None:
        if find_spec("presidio_analyzer") is None:
            raise MissingPackage("presidio-analyzer", "release", "A release without personal data")
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry

        from fastchat.arena.exchange.personal_data.nlp import LANGUAGE, Words

        content = files("fastchat.arena.exchange.personal_data").joinpath("recognizers.toml").read_bytes()
        self._table: Mapping[str, Any] = tomllib.loads(content.decode())  # Any: TOML
        self._digest = hashlib.sha256(content).hexdigest()
        self._ner_model = ner_model
        words = Words(ner_model)
        words.load()
        registry = RecognizerRegistry(recognizers=self._recognizers(), supported_languages=[LANGUAGE])
        self._kind_of = {kind: kind for kind in self.kinds} | _LABELS
        self._language = LANGUAGE
        self._engine = AnalyzerEngine(
            registry=registry,
            nlp_engine=words,
            supported_languages=[LANGUAGE],
            default_score_threshold=_THRESHOLD,
        )

    @property
    def kinds(self) -> list[str]:
        return sorted({recognizer.kind for recognizer in self.recognizers})

    @property
    def recognizers(self) -> list[Recognizer]:
        ours = f"fastchat, recognizers.toml sha256:{self._digest[:16]}"
        presidio = f"presidio-analyzer {version('presidio-analyzer')}"
        phones = f"{presidio} with phonenumbers {version('phonenumbers')}"
        found = [Recognizer(row["kind"], row["name"], ours) for row in self._table["patterns"]]
        found += [Recognizer(kind, name, presidio) for kind, names in self._table["presidio"].items() for name in names]
        found.append(Recognizer("PHONE", "PhoneRecognizer", phones))
        if self._ner_model:
            model = f"spaCy {version('spacy')} with {self._ner_model} {version(self._ner_model)}"
            found += [Recognizer(kind, "names in running text", model) for kind in ("NAME", "LOCATION")]
        return sorted(found, key=lambda recognizer: (recognizer.kind, recognizer.source, recognizer.name))

    @property
    def limits(self) -> list[str]:
        """What was not looked for, for people who rely on a release."""
        names = "Names and places in running text were looked for by a statistical model, which misses some."
        phrases = (
            "No language model was used: names were found only where a phrase, title, salutation, signature or form "
            "field gives them away, and addresses only by their form. Other names are still in the texts."
        )
        return [
            names if self._ner_model else phrases,
            "Pictures and files are left out, not searched.",
            "No rule finds everything; treat the texts as possibly personal.",
        ]

    def find(self, text: str) -> list[Found]:
        """By place, not overlapping.

        Raises:
            Unreadable: a pattern took too long.
        """
        if not text.strip():
            return []
        with _timeouts_are_errors():
            results = self._engine.analyze(text, language=self._language)
        pieces = sorted(Found(one.start, one.end, self._name(one.entity_type)) for one in results)
        return list(_joined(pieces))

    def _name(self, entity: str) -> str:
        return self._kind_of.get(entity, entity)

    def _recognizers(self) -> list[Any]:
        """Any: presidio has no types."""
        import regex  # type: ignore[import-untyped]
        from presidio_analyzer import Pattern, PatternRecognizer, predefined_recognizers

        from fastchat.arena.exchange.personal_data.nlp import LANGUAGE

        plain = regex.MULTILINE | regex.DOTALL
        found: list[Any] = [
            PatternRecognizer(
                supported_entity=row["kind"],
                name=f"{row['kind']}: {row['name']}",
                patterns=[Pattern(row["name"], row["regex"], 0.9)],
                supported_language=LANGUAGE,
                global_regex_flags=plain if row.get("case") else plain | regex.IGNORECASE,
            )
            for row in self._table["patterns"]
        ]
        for kind, names in self._table["presidio"].items():
            for name in names:
                recognizer = getattr(predefined_recognizers, name)(supported_language=LANGUAGE)
                recognizer.supported_entities = [kind]
                found.append(recognizer)
        regions = self._table["phone"]["regions"]
        found.append(
            predefined_recognizers.PhoneRecognizer(
                supported_entity="PHONE", supported_language=LANGUAGE, supported_regions=regions
            )
        )
        if self._ner_model:
            found.append(predefined_recognizers.SpacyRecognizer(supported_language=LANGUAGE))
        return found


def _joined(pieces: Sequence[Found]) -> Iterator[Found]:
    """What overlaps goes together, under the name of the longest piece."""
    current: Found | None = None
    longest = 0
    for piece in pieces:
        length = piece.end - piece.start
        if current is not None and piece.start < current.end:
            kind = piece.kind if length > longest else current.kind
            current = Found(current.start, max(current.end, piece.end), kind)
            longest = max(longest, length)
            continue
        if current is not None:
            yield current
        current, longest = piece, length
    if current is not None:
        yield current


class _Alarm(logging.Handler):
    """presidio gives up a pattern that takes too long with no more than a line in its log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.has_rung = False

    def emit(self, record: logging.LogRecord) -> None:
        self.has_rung |= "timed out" in record.getMessage()


@contextmanager
def _timeouts_are_errors() -> Iterator[None]:
    alarm = _Alarm()
    logger = logging.getLogger("presidio-analyzer")
    logger.addHandler(alarm)
    try:
        yield
    finally:
        logger.removeHandler(alarm)
    if alarm.has_rung:
        raise Unreadable("a pattern took too long")


class Cleaned(NamedTuple):
    texts: list[str]
    found: Counter[str]  # by kind


class Cleaner:
    """Takes out of a conversation what was found anywhere in it: who gave their name once is called by it later."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    def clean(self, texts: Sequence[str]) -> Cleaned:
        """
        Raises:
            Unreadable: one of them could not be searched to its end.
        """
        found = [self._finder.find(text) for text in texts]
        known: dict[str, str] = {}
        for text, pieces in zip(texts, found, strict=True):
            for start, end, kind in pieces:
                known |= dict.fromkeys(_ways_to_say(text[start:end], kind), kind)
        count: Counter[str] = Counter()
        cleaned = []
        for text, pieces in zip(texts, found, strict=True):
            everything = list(_joined(sorted([*pieces, *_again(text, known)])))
            count.update(piece.kind for piece in everything)
            cleaned.append(without(text, everything))
        return Cleaned(cleaned, count)


def _ways_to_say(value: str, kind: str) -> Iterator[str]:
    if len(value) >= _SHORTEST:
        yield value
    if kind == "NAME":
        yield from (part for part in re.findall(r"[^\W\d_][\w'’-]+", value) if part[0].isupper() and len(part) > 2)


def _again(text: str, known: Mapping[str, str]) -> Iterator[Found]:
    for value, kind in known.items():
        for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text):
            yield Found(match.start(), match.end(), kind)


def without(text: str, found: Sequence[Found]) -> str:
    """The text with `<KIND>` in place of what was found."""
    pieces: list[str] = []
    last = 0
    for start, end, kind in found:
        pieces += [text[last:start], f"<{kind}>"]
        last = end
    return "".join([*pieces, text[last:]])
