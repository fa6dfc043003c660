"""Which answers say who wrote them, in tables that are too long to search every text closely.

`identity` folds a text and looks for hundreds of names, which takes milliseconds. Most texts hold no name at all, and
that one expression of Rust's tells in microseconds: it finds at least whatever `identity` would.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastchat.arena.identity import names_itself
from fastchat.arena.model_names import families, parts, spellings
from fastchat.arena.moderation.base import windows

if TYPE_CHECKING:
    import polars as pl

# As the arena itself searches answers: what very long ones hold behind that is not worth seconds of work.
_PIECE_CHARS, _OVERLAP_CHARS, _SEARCHED_CHARS = 5_000, 500, 150_000
# Letters that folding leaves as they are, up to their case; with any other, a name could be written in disguise.
_PLAIN = r"\A[\x00-\x7f\u00a1-\u00ac\u00ae-\u017e\u2010-\u2027\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff0c\uff1a]*\z"


def name_themselves(texts: "pl.Series", models: Sequence[str]) -> "pl.Series":
    """Null where there is no text."""
    import polars as pl

    is_searched = _may_name(texts, models)
    found = [
        None if text is None else bool(may and _names_itself(text, models))
        for text, may in zip(texts.to_list(), is_searched.to_list(), strict=True)
    ]
    return pl.Series(found, dtype=pl.Boolean)


def _names_itself(text: str, models: Sequence[str]) -> bool:
    pieces = windows(text[:_SEARCHED_CHARS], _PIECE_CHARS, _OVERLAP_CHARS)
    return any(names_itself(piece, models) for piece in pieces)


def _may_name(texts: "pl.Series", models: Sequence[str]) -> "pl.Series":
    """Whether there is a name, or something that could be one in disguise."""
    names = {*models, *(part for model in models for part in parts(model))}
    names.update(name for family in families() for name in family.names + family.makers)
    # Rust's \W is a table of hundreds of ranges, and each of them would slow every letter down.
    spelt = sorted({spellings(name).replace(r"[\W_]*", "[^a-z0-9]*") for name in names})
    either = rf"(?:\A|[^a-z0-9])(?:{'|'.join(filter(str.isascii, spelt))})(?:\z|[^a-z])"
    others = "|".join(name for name in spelt if not name.isascii())
    lower = texts.str.to_lowercase()
    return lower.str.contains(either) | lower.str.contains(others) | ~texts.str.contains(_PLAIN)
