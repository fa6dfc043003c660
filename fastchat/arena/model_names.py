"""What models, their families and their makers are called, and every way to spell that."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fastchat.arena.folding import fold

_LATIN = "a-z\u00df-\u024f"
_LATIN_OR_DIGIT = f"{_LATIN}0-9"
_SHORTEST_PART = 3  # letters; shorter parts of a model's name are words of every language


@dataclass(frozen=True, slots=True)
class Family:
    names: tuple[str, ...]
    makers: tuple[str, ...] = ()
    everyday: bool = False  # the names are ordinary words, too
    unless_followed_by: tuple[str, ...] = ()


@cache
def identities() -> Mapping[str, Any]:
    """`identities.toml`; read once, never changed."""
    return tomllib.loads((files(__package__) / "identities.toml").read_text("utf-8"))


@cache
def families() -> tuple[Family, ...]:
    return tuple(
        Family(
            tuple(row["names"]),
            tuple(row.get("makers", ())),
            row.get("everyday", False),
            tuple(row.get("unless_followed_by", ())),
        )
        for row in identities()["family"]
    )


def parts(model: str) -> list[str]:
    """Parts of a served model's name that give it away: of `org/SmolLM2-135M-Instruct` org, smollm2 and smollm."""
    generic = set(identities()["generic"])
    for language in identities()["language"].values():
        generic.update(language["fillers"])  # words with which any model speaks of itself
    found: dict[str, None] = {}
    for part in re.split(r"[\W_]+", fold(model)):
        for word in (part, part.rstrip("0123456789")):
            letters = sum(char.isalpha() for char in word)
            if word not in generic and (letters >= _SHORTEST_PART or (letters and not word.isascii())):
                found.setdefault(word)
    return list(found)


def spellings(name: str) -> str:
    """An expression for a name in folded text, however its letters and digits are set apart or put together."""
    runs = re.findall(r"[^\W\d_]+|\d+", fold(name))
    return r"[\W_]*".join(map(re.escape, runs)) or r"(?!)"


def alternatives(names: Iterable[str]) -> str:
    """An expression for any of the names as a word of its own, the longest that fits.

    Sorted by their first letters, since an expression of hundreds of names is otherwise slow at every word.
    """
    by_letter: dict[str, list[str]] = {}
    for name in sorted({fold(name) for name in names}, key=len, reverse=True):
        expression = spellings(name) + _end(name)
        if first := re.search(r"[^\W_]", name):
            by_letter.setdefault(first[0], []).append(expression)
    groups = [f"{_start(letter)}(?={re.escape(letter)})(?:{'|'.join(them)})" for letter, them in by_letter.items()]
    return "|".join(groups) or r"(?!)"


def _start(letter: str) -> str:
    """Only Latin letters and digits are held together by nothing but standing side by side."""
    return f"(?<![{_LATIN_OR_DIGIT}])" if re.match(f"[{_LATIN_OR_DIGIT}]", letter) else ""


def _end(name: str) -> str:
    """A digit may follow: "gpt4"."""
    return f"(?![{_LATIN}])" if re.search(f"[{_LATIN_OR_DIGIT}]$", name) else ""
