"""What the arena asks of its store: every method that changes something returns when it is on the disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastchat.arena.records import Answer, Consent, Conversation, Mark, Outcome, Summary, Thumb, Turn
from fastchat.arena.transparency.receipts import Receipt


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


class Store:
    async def voter_id(self, voter_key: str, login: str | None) -> str:
        """Of a known voter, or of one made here."""
        raise NotImplementedError

    async def consent(self, voter_id: str, arena: str) -> Consent | None:
        """The newest."""
        raise NotImplementedError

    async def add_consent(self, voter_id: str, arena: str, consent: Consent) -> None:
        raise NotImplementedError

    async def begin(self, conversation: Conversation, address_hash: str) -> None:
        """A conversation with its battle and the question of its first turn."""
        raise NotImplementedError

    async def add_turn(self, conversation: Conversation, turn: Turn) -> None:
        """A further question; also keeps the conversation's marks, title and time."""
        raise NotImplementedError

    async def save_answers(self, conversation: Conversation, turn: Turn) -> None:
        """The answers of a turn, once nothing more comes; those of an earlier attempt are superseded."""
        raise NotImplementedError

    async def supersede(self, conversation_id: str, from_turn: int) -> None:
        """These turns were taken back; they stay, but no longer belong to the conversation."""
        raise NotImplementedError

    async def conversation(self, conversation_id: str) -> Conversation | None:
        """An answer that was being written when the server ended is `INTERRUPTED`."""
        raise NotImplementedError

    async def conversation_of_message(self, message_id: str) -> Conversation | None:
        raise NotImplementedError

    async def shared(self, share_id: str) -> Conversation | None:
        raise NotImplementedError

    async def summaries(
        self, voter_id: str, arena: str, *, search: str = "", before: float | None = None, limit: int = 50
    ) -> list[Summary]:
        """Newest first."""
        raise NotImplementedError

    async def rename(self, conversation_id: str, title: str) -> None:
        raise NotImplementedError

    async def set_share_id(self, conversation_id: str, share_id: str | None) -> None:
        raise NotImplementedError

    async def cast(self, ballot: Ballot) -> Receipt:
        """Append a vote to the log.

        Raises:
            AlreadyVoted: this battle has its vote.
        """
        raise NotImplementedError

    async def rate(
        self, message_id: str, voter_id: str, thumb: Thumb | None, reasons: Sequence[str], at: float
    ) -> None:
        raise NotImplementedError

    async def add_judgement(
        self, message_id: str, moderator: str, is_flagged: bool, categories: Any, at: float
    ) -> None:
        raise NotImplementedError

    async def add_file(
        self, file_id: str, voter_id: str, content: bytes, media_type: str, name: str, text: str | None, at: float
    ) -> None:
        raise NotImplementedError

    async def file(self, file_id: str) -> tuple[bytes, str, str | None] | None:
        """Content, media type, id of the voter it belongs to."""
        raise NotImplementedError

    async def replay_votes(self, arena: str | None, take: Callable[[CountedVote], object]) -> None:
        """Every vote so far, in the log's order."""
        raise NotImplementedError

    async def erase_conversation(self, conversation_id: str, at: float) -> None:
        raise NotImplementedError

    async def erase_voter(self, voter_id: str, at: float) -> None:
        """Their texts, files, salts, consents and keys; votes stay, without anybody behind them."""
        raise NotImplementedError

    async def erase_older(self, arena: str, before: float, at: float) -> int:
        """Retention: how many conversations were erased."""
        raise NotImplementedError

    async def everything_of(self, voter_id: str) -> Mapping[str, Any]:
        """All that is kept of a voter, as JSON."""
        raise NotImplementedError

    async def model_settings(self, arena: str) -> Mapping[str, Mapping[str, Any]]:
        raise NotImplementedError

    async def set_model_settings(
        self, arena: str, model: str, settings: Mapping[str, Any] | None, *, login: str, at: float
    ) -> None:
        """None removes them. Noted in `admin_actions`."""
        raise NotImplementedError
