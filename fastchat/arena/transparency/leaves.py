"""What the log holds of a vote: the facts that rankings rest on, and a salted digest in place of everything personal.

The digest binds voter, address and conversation to the vote without showing them. A plain hash would not hide them:
there are few likely voters and many short prompts ("hi"), so whoever has the log could try them all. A salt of 32
random bytes, one for each vote, makes that hopeless, and after salt and text are erased not even somebody who knows
the text can show that it belongs to the vote. The leaf stays and every proof with it. Hashes of the text alone go
with the text.

A leaf still tells the time of a vote, the two models, and ids that lead to nothing once the rows behind them are gone.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hmac import compare_digest
from typing import ClassVar, Literal

from pydantic import ConfigDict

from fastchat.arena.transparency.encoding import canonical_json
from fastchat.arena.transparency.merkle import hash_leaf

SALT_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteLeaf:
    """A vote as it stands in the log. A field that is added needs a new version: old leaves keep their bytes."""

    # A field we do not know is not covered by the hash, so it must not travel along as if it were.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    vote_id: str
    battle_id: str
    arena: str
    mode: str  # battle, side_by_side; tells whether the voter could see the names
    outcome: str  # leftvote, rightvote, tievote, bothbad_vote; left is model_a
    model_a: str
    model_b: str
    probability: float | None  # of drawing this pair; None where the voter chose it
    cast_at: float  # UTC seconds
    digest: str  # what `salted_digest` gave
    version: Literal[1] = 1

    def __post_init__(self) -> None:
        # A database may give 1 for 1.0, which would be other bytes.
        object.__setattr__(self, "cast_at", float(self.cast_at))
        if self.probability is not None:
            object.__setattr__(self, "probability", float(self.probability))
        for name in _TEXTS:
            _check_text(name, getattr(self, name))
        if not math.isfinite(self.cast_at):
            raise ValueError(f"cast_at is {self.cast_at}; it is a time in seconds")
        if self.probability is not None and not 0 < self.probability <= 1:
            raise ValueError(f"probability is {self.probability}; it is above 0 and at most 1")
        if len(self.digest) != 64 or not set(self.digest) <= set("0123456789abcdef"):
            raise ValueError("digest is a SHA-256 in 64 lower-case hex digits")
        if self.version != 1:
            raise ValueError(f"version is {self.version}; this program knows 1")

    @property
    def content(self) -> bytes:
        """The bytes that are hashed."""
        return canonical_json({name: getattr(self, name) for name in self.__slots__})

    @property
    def leaf_hash(self) -> bytes:
        return hash_leaf(self.content)


_TEXTS = ("vote_id", "battle_id", "arena", "mode", "outcome", "model_a", "model_b")


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is {value!r}; it is a text that is not empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is {value!r}, which UTF-8 cannot write") from None


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A row of the log as a store or a file gave it. Where it makes no leaf, `leaf` is None and `problem` says why."""

    index: int
    leaf: VoteLeaf | None
    leaf_hash: bytes | None = None  # as it was stored at the vote; None where only the leaf was kept
    problem: str = ""

    @classmethod
    def read(cls, index: int, row: Mapping[str, object], leaf_hash: object = None) -> "StoredLeaf":
        """From a row's columns, which need not be what we wrote."""
        known = {name: row[name] for name in VoteLeaf.__slots__ if name in row}
        kept = leaf_hash if isinstance(leaf_hash, bytes) else None
        try:
            leaf = VoteLeaf(**known)  # type: ignore[arg-type]  # the leaf checks them
            if leaf_hash is not None and kept is None:
                raise ValueError(f"its hash is {str(leaf_hash)[:60]!r}; it is 32 bytes")
        except (TypeError, ValueError, OverflowError) as error:
            return cls(index, None, kept, str(error))
        return cls(index, leaf, kept)


@dataclass(frozen=True, slots=True)
class Erasable:
    """Everything about a vote that a person may have erased."""

    voter: str | None
    address_hash: str | None
    conversation_hash: str
    reasons: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()  # in the alphabet's order; they decide what a vote counts for
    dwell_s: float | None = None


def conversation_hash(messages: Sequence[Mapping[str, object]]) -> str:
    """Over the messages as they are stored, so that it can be computed again from the store."""
    return hashlib.sha256(canonical_json({"messages": list(messages)})).hexdigest()


def salted_digest(salt: bytes, erasable: Erasable) -> str:
    if len(salt) != SALT_BYTES:
        raise ValueError(f"the salt has {len(salt)} bytes; it needs {SALT_BYTES} random ones, for this vote alone")
    return hashlib.sha256(salt + canonical_json(asdict(erasable))).hexdigest()


def is_about(leaf: VoteLeaf, salt: bytes, erasable: Erasable) -> bool:
    """Whether this vote was cast by this voter on this conversation; needs the salt, so it ends with erasure."""
    return compare_digest(leaf.digest, salted_digest(salt, erasable))
