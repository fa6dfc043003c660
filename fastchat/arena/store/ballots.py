"""Votes on their way in and out."""

from dataclasses import dataclass

from fastchat.arena.records import Mark, Outcome


@dataclass(frozen=True, slots=True)
class Ballot:
    """A vote to be cast; what the log will say of it, and what can be erased again."""

    vote_id: str
    battle_id: str
    conversation_id: str
    arena: str
    mode: str
    outcome: Outcome
    model_a: str
    model_b: str
    probability: float
    cast_at: float
    voter_id: str
    address_hash: str
    content_digest: str  # SHA-256 of the conversation's messages, in hexadecimal
    salt: bytes
    reasons: tuple[str, ...] = ()
    marks: frozenset[Mark] = frozenset()
    dwell_s: float | None = None
    category: str | None = None  # of the conversation, as the next
    language: str | None = None  # BCP 47


@dataclass(frozen=True, slots=True)
class CountedVote:
    """What matchmaking and standings read."""

    arena: str
    mode: str
    outcome: Outcome
    model_a: str
    model_b: str
    cast_at: float
    marks: frozenset[Mark] = frozenset()
    category: str | None = None  # of the conversation, as the next
    language: str | None = None  # BCP 47
