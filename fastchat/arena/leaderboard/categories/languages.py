"""Languages of votes: as the table says, else found with lingua on the first question.

lingua chooses among the languages of `languages.csv` that are marked there, in its mode of low accuracy, which needs a
fraction of the memory. Texts with hardly a word in them (code, numbers, "hi") are of no language.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from fastchat.arena.leaderboard.categories.conversations import Conversations
from fastchat.arena.leaderboard.categories.label_file import Label, LabelFile, digest_of
from fastchat.arena.leaderboard.votes import LANGUAGE
from fastchat.core.errors import MissingPackage

if TYPE_CHECKING:
    import polars as pl

TASK = "language"
_WAY = 1  # counted up when what is below changes, or the languages: then all is looked for again
_SAME = {"no": "nb", "nn": "nb", "iw": "he", "in": "id", "fil": "tl"}  # codes that stand for one of ours
_LONGEST = 500  # characters that are looked at
_FEWEST_LETTERS = 8  # of scripts with blanks; a sign of the others counts for four
_PIECE = 10_000
# Words of requests that no other language writes in plain ASCII.
_ENGLISH = re.compile(
    r"\b(about|and|are|can|create|does|explain|from|give|have|how|make|need|please|"
    r"provide|tell|that|the|this|what|which|with|write|you|your)\b",
    re.IGNORECASE,
)
_ENGLISH_SHARE = 12  # of so many words one at least
# What says nothing of the language somebody writes.
_NO_WORDS = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|\\\(.*?\\\)|\$\$.*?\$\$|<[^>\n]{1,200}>", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_WHOLE_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


class Language(NamedTuple):
    code: str
    name: str
    is_detected: bool


class Languages:
    """Languages of one table's votes, found once. `found` keeps what lingua said for the next time."""

    def __init__(self, found: LabelFile | None = None) -> None:
        self._found = found
        self._known: pl.Series | None = None

    def of(self, said: Conversations) -> "pl.Series":
        """Codes as `en`, null where the language is not known.

        Raises:
            SetupError: the table has neither languages nor conversations.
            MissingPackage: lingua is not installed.
        """
        if self._known is None:
            has_column = said.votes.has(LANGUAGE)
            self._known = _mapped(said.votes.frame[LANGUAGE], code_of) if has_column else self._detected(said)
        return self._known

    def _detected(self, said: Conversations) -> "pl.Series":
        texts = said.first_prompt.unique().drop_nulls().to_list()
        codes = dict(zip(texts, detect(texts, self._found), strict=True))
        return _mapped(said.first_prompt, codes.get)


def _mapped(values: "pl.Series", code: Any) -> "pl.Series":
    """Any: a function of a text. Called once for each different one."""
    import polars as pl

    different = values.unique().drop_nulls()
    codes = [code(value) for value in different.to_list()]
    return values.replace_strict(different, pl.Series(codes, dtype=pl.String), default=None, return_dtype=pl.String)


@cache
def languages() -> Sequence[Language]:
    with (files(__package__) / "languages.csv").open(encoding="utf-8") as file:
        return [Language(row["code"], row["name"], row["is_detected"] == "yes") for row in csv.DictReader(file)]


@cache
def _by_name() -> Mapping[str, str]:
    return {word: one.code for one in languages() for word in (one.code, one.name.lower())} | _SAME


def code_of(name: str) -> str | None:
    """`en` for English, english, en, en-GB; None for what is no language."""
    plain = name.strip().lower()
    return _by_name().get(plain) or _by_name().get(re.split(r"[-_]", plain)[0])


def name_of(code: str) -> str:
    return next((one.name for one in languages() if one.code == code), code)


def detect(texts: Sequence[str], found: LabelFile | None = None) -> list[str | None]:
    """Codes; None where a text is of no language, or of none that is looked for.

    Raises:
        MissingPackage: lingua is not installed.
    """
    if find_spec("lingua") is None:
        raise MissingPackage("lingua-language-detector", "categories", "Telling languages")
    how = f"lingua {version('lingua-language-detector')}, way {_WAY}"
    digests = [digest_of(text) for text in texts]
    known = {} if found is None else {each: found.get(TASK, how, each) for each in digests}
    unknown = [number for number, each in enumerate(digests) if known.get(each) is None]
    codes = [(known.get(each) or {}).get(TASK) for each in digests]
    for number, code in zip(unknown, _ask_lingua([texts[number] for number in unknown]), strict=True):
        codes[number] = code
        if found is not None:
            found.add(Label(TASK, how, digests[number], {TASK: code}))
    return codes


def _ask_lingua(texts: Sequence[str]) -> Iterator[str | None]:
    if not texts:
        return
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, one.code.upper()) for one in languages() if one.is_detected]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_low_accuracy_mode().build()
    for start in range(0, len(texts), _PIECE):
        wordy = [_words(text) for text in texts[start : start + _PIECE]]
        for text, found in zip(wordy, detector.detect_languages_in_parallel_of(wordy), strict=True):
            code = None if found is None else found.iso_code_639_1.name.lower()
            yield "en" if code and _is_rather_english(text) else code


def _is_rather_english(text: str) -> bool:
    """lingua's quick mode takes short English requests about code for other languages: 56 of 924 real ones in ASCII."""
    return text.isascii() and len(_ENGLISH.findall(text)) * _ENGLISH_SHARE >= len(text.split())


def _words(text: str) -> str:
    """What lingua should read; nothing if there is too little of it."""
    words = _NO_WORDS.sub(" ", text)[:_LONGEST]
    letters = len(_LETTER.findall(words)) + 3 * len(_WHOLE_WORD.findall(words))
    return words if letters >= _FEWEST_LETTERS else ""
