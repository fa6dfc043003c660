"""One spelling for text that is compared (word lists, names of models, repeated prompts); nobody reads it."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# Writing without spaces between words: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_MOST_MARKS = 30  # on one letter; no writing has more (UAX 15, stream-safe text)
_HANGUL = re.compile("[\u1100-\u11ff\uac00-\ud7af]")


def fold(text: str) -> str:
    """Without regard to case, width, ligatures, invisible characters and the kind and number of blanks."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", "".join(_without_towers(text)))
    text = unicodedata.normalize("NFKC", text.casefold())
    text = "".join(char for char in text if not _is_invisible(char))
    return " ".join(text.split())


def _without_towers(text: str) -> Iterator[str]:
    """Letters with as many marks as any script has: sorting them takes time that grows with the square."""
    marks = 0
    for char in text:
        marks = marks + 1 if _is_mark(char) else 0
        if marks <= _MOST_MARKS:
            yield char


@lru_cache(maxsize=10_000)
def _is_mark(char: str) -> bool:
    """As it is once it has been taken apart: some are marks only then."""
    return unicodedata.combining(unicodedata.normalize("NFKD", char)[0]) > 0


def begins_word(text: str, at: int) -> bool:
    return at == 0 or not _are_joined(text[at - 1], text[at])


def ends_word(text: str, at: int) -> bool:
    """Whether a word may end before `at`. After Hangul one always may: particles are written on to the word."""
    return at >= len(text) or bool(_HANGUL.match(text[at - 1])) or not _are_joined(text[at - 1], text[at])


def _are_joined(left: str, right: str) -> bool:
    return all(unicodedata.category(char)[0] in "LMN" and not _UNSPACED.match(char) for char in (left, right))


def _is_invisible(char: str) -> bool:
    """Soft hyphens, zero-width characters and selectors of a glyph's form, with which words are broken up."""
    return unicodedata.category(char) == "Cf" or "\ufe00" <= char <= "\ufe0f"
