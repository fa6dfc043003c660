"""Reading the whole store in order, a batch at a time: for files that leave it, and for proofs. Changes nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from fastchat.arena.records import (
    Battle,
    Consent,
    Ending,
    Mark,
    Mode,
    Outcome,
    Part,
    Sampling,
    Side,
    Thumb,
    Vote,
    text_of,
)
from fastchat.arena.store.tables import (
    BATTLES,
    CONSENTS,
    CONVERSATIONS,
    FEEDBACK,
    MESSAGES,
    VOTE_DETAILS,
    VOTERS,
    VOTES,
)

_BATCH = 200
_PARTS = TypeAdapter(tuple[Part, ...])


@dataclass(frozen=True, slots=True)
class Message:
    """A question, or one attempt at an answer; `side` and `model` are None for questions."""

    message_id: str
    turn: int
    created_at: float
    parts: tuple[Part, ...]
    side: Side | None = None
    model: str | None = None
    attempt: int = 1
    reasoning: str = ""
    ending: Ending | None = None
    error: str = ""
    is_after_vote: bool = False
    is_superseded: bool = False
    first_token_s: float | None = None
    duration_s: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    @property
    def text(self) -> str:
        return text_of(self.parts)

    @property
    def tokens_per_s(self) -> float | None:
        if not self.completion_tokens or self.first_token_s is None or self.duration_s is None:
            return None
        writing_s = self.duration_s - self.first_token_s
        return (self.completion_tokens - 1) / writing_s if self.completion_tokens > 1 and writing_s > 0 else None


@dataclass(frozen=True, slots=True)
class GivenThumb:
    message_id: str
    thumb: Thumb
    given_at: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedVote:
    """A vote as the log has it, with what stands beside it until it is erased."""

    vote: Vote
    leaf_index: int
    voter_id: str | None = None
    address_hash: str | None = None
    marks: frozenset[Mark] = frozenset()


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation with all that was ever said in it, attempts that were taken back included."""

    conversation_id: str
    arena: str
    mode: Mode
    voter_id: str | None
    models: tuple[str, ...]
    created_at: float
    updated_at: float
    title: str = ""
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    category: str | None = None
    language: str | None = None
    marks: frozenset[Mark] = frozenset()
    share_id: str | None = None
    address_hash: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON of importers
    erased_at: float | None = None
    messages: tuple[Message, ...] = ()  # as they came
    thumbs: tuple[GivenThumb, ...] = ()
    battle: Battle | None = None
    vote: LoggedVote | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """What is read: of one arena or all, from one time to another (UTC; the later one is not part of it)."""

    arena: str | None = None
    since: float | None = None
    until: float | None = None

    def holds(self, at: float) -> bool:
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    def conditions(self, arena: ColumnElement[str], time: ColumnElement[float]) -> list[ColumnElement[bool]]:
        return [
            *([arena == self.arena] if self.arena is not None else []),
            *([time >= self.since] if self.since is not None else []),
            *([time < self.until] if self.until is not None else []),
        ]


def transcripts(connection: Connection, wanted: Range = Range(), batch: int = _BATCH) -> Iterator[Transcript]:
    """Every conversation that was touched in that time, by id."""
    conditions = wanted.conditions(CONVERSATIONS.c.arena, CONVERSATIONS.c.updated_at)
    last = ""
    while True:
        page = select(CONVERSATIONS).where(CONVERSATIONS.c.id > last, *conditions)
        rows = connection.execute(page.order_by(CONVERSATIONS.c.id).limit(batch)).all()
        yield from _completed(connection, rows)
        if len(rows) < batch:
            return
        last = rows[-1].id


def transcripts_of(connection: Connection, conversation_ids: Sequence[str]) -> list[Transcript]:
    rows = connection.execute(select(CONVERSATIONS).where(CONVERSATIONS.c.id.in_(conversation_ids))).all()
    return list(_completed(connection, rows))


@dataclass(frozen=True, slots=True)
class Leaf:
    """A row of the log of votes: all that is public, and its hash."""

    leaf_index: int
    vote_id: str
    battle_id: str
    arena: str
    mode: Mode
    outcome: Outcome
    model_a: str
    model_b: str
    probability: float
    policy: str | None
    cast_at: float
    digest: str
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class VotedConversation:
    leaf: Leaf
    transcript: Transcript | None  # None: erased
    voter_id: str | None
    address_hash: str | None
    reasons: tuple[str, ...]
    marks: frozenset[Mark]
    dwell_s: float | None
    salt: bytes | None = None  # None: erased


def voted(connection: Connection, wanted: Range = Range(), batch: int = _BATCH) -> Iterator[VotedConversation]:
    """Every vote in the log's order, with its conversation."""
    columns = [column for column in VOTE_DETAILS.c if column.name != "vote_id"]
    conditions = wanted.conditions(VOTES.c.arena, VOTES.c.cast_at)
    last = -1
    while True:
        page = (
            select(*VOTES.c, BATTLES.c.policy, *columns)
            .outerjoin_from(VOTES, VOTE_DETAILS, VOTE_DETAILS.c.vote_id == VOTES.c.id)
            .outerjoin(BATTLES, BATTLES.c.id == VOTES.c.battle_id)
            .where(VOTES.c.leaf_index > last, *conditions)
            .order_by(VOTES.c.leaf_index)
            .limit(batch)
        )
        rows = connection.execute(page).all()
        ids = [row.conversation_id for row in rows if row.conversation_id is not None]
        found = {transcript.conversation_id: transcript for transcript in transcripts_of(connection, ids)}
        for row in rows:
            yield _voted(row, found.get(row.conversation_id))
        if len(rows) < batch:
            return
        last = rows[-1].leaf_index


@dataclass(frozen=True, slots=True)
class Counts:
    voters: int
    conversations: int
    erased: int
    messages: int
    votes: int


def counts(connection: Connection) -> Counts:
    def number(query: Select[int]) -> int:
        return connection.execute(query).scalar_one()

    everything = select(func.count())
    return Counts(
        voters=number(everything.select_from(VOTERS)),
        conversations=number(everything.select_from(CONVERSATIONS)),
        erased=number(everything.select_from(CONVERSATIONS).where(CONVERSATIONS.c.erased_at.is_not(None))),
        messages=number(everything.select_from(MESSAGES)),
        votes=number(everything.select_from(VOTES)),
    )


def voter_called(connection: Connection, name: str) -> str | None:
    """The id of the voter who has that id or login."""
    query = select(VOTERS.c.id).where((VOTERS.c.id == name) | (VOTERS.c.login == name))
    return connection.execute(query).scalars().first()


def is_conversation(connection: Connection, conversation_id: str) -> bool:
    query = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.id == conversation_id)
    return connection.execute(query).first() is not None


def newest_consents(connection: Connection, voter_ids: Iterable[str]) -> dict[tuple[str, str], Consent]:
    """By voter and arena."""
    query = select(CONSENTS).where(CONSENTS.c.voter_id.in_(list(voter_ids)))
    rows = connection.execute(query.order_by(CONSENTS.c.given_at, CONSENTS.c.id))
    return {(row.voter_id, row.arena): Consent(row.version, row.given_at, row.may_publish) for row in rows}


def message_from_row(row: Row[Any]) -> Message:
    return Message(
        message_id=row.id,
        turn=row.turn,
        created_at=row.created_at,
        parts=_PARTS.validate_python(row.parts),
        side=Side(row.side) if row.side else None,
        model=row.model,
        attempt=row.attempt,
        reasoning=row.reasoning,
        ending=Ending(row.ending) if row.ending else None,
        error=row.error,
        is_after_vote=row.is_after_vote,
        is_superseded=row.is_superseded,
        first_token_s=row.first_token_s,
        duration_s=row.duration_s,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
    )


def _completed(connection: Connection, rows: Sequence[Row[Any]]) -> Iterator[Transcript]:
    ids = [row.id for row in rows]
    if not ids:
        return
    said = select(MESSAGES).where(MESSAGES.c.conversation_id.in_(ids))
    said = said.order_by(MESSAGES.c.conversation_id, MESSAGES.c.created_at, MESSAGES.c.turn, MESSAGES.c.id)
    messages = {
        key: tuple(map(message_from_row, group))
        for key, group in groupby(connection.execute(said), lambda row: str(row.conversation_id))
    }
    battles = {
        row.conversation_id: row
        for row in connection.execute(select(BATTLES).where(BATTLES.c.conversation_id.in_(ids)))
    }
    votes = _votes(connection, [row.id for row in battles.values()])
    thumbs = _thumbs(connection, ids)
    for row in rows:
        battle = battles.get(row.id)
        yield Transcript(
            conversation_id=row.id,
            arena=row.arena,
            mode=Mode(row.mode),
            voter_id=row.voter_id,
            models=tuple(row.models),
            created_at=row.created_at,
            updated_at=row.updated_at,
            title=row.title,
            system=row.system,
            sampling=Sampling(**row.sampling),
            category=row.category,
            language=row.language,
            marks=frozenset(map(Mark, row.marks)),
            share_id=row.share_id,
            address_hash=row.address_hash,
            details=row.details or {},
            erased_at=row.erased_at,
            messages=tuple(sorted(messages.get(row.id, ()), key=in_order)),
            thumbs=tuple(thumbs.get(row.id, ())),
            battle=_battle(battle) if battle else None,
            vote=votes.get(battle.id) if battle else None,
        )


def in_order(message: Message) -> tuple[float, int, bool, bool, int]:
    """Of what came at the same moment: questions before answers, left before right."""
    return (message.created_at, message.turn, message.side is not None, message.side is Side.RIGHT, message.attempt)


def _battle(row: Row[Any]) -> Battle:
    return Battle(row.id, row.model_a, row.model_b, row.probability, row.policy, row.drawn_at)


def _votes(connection: Connection, battle_ids: Sequence[str]) -> dict[str, LoggedVote]:
    query = (
        select(VOTES, VOTE_DETAILS)
        .outerjoin_from(VOTES, VOTE_DETAILS, VOTE_DETAILS.c.vote_id == VOTES.c.id)
        .where(VOTES.c.battle_id.in_(battle_ids))
    )
    return {
        row.battle_id: LoggedVote(
            Vote(row.id, row.battle_id, Outcome(row.outcome), row.cast_at, tuple(row.reasons or ()), row.dwell_s),
            row.leaf_index,
            row.voter_id,
            row.address_hash,
            frozenset(map(Mark, row.marks or ())),
        )
        for row in connection.execute(query)
    }


def _thumbs(connection: Connection, conversation_ids: Sequence[str]) -> dict[str, list[GivenThumb]]:
    query = (
        select(*FEEDBACK.c, MESSAGES.c.conversation_id)
        .join_from(FEEDBACK, MESSAGES, MESSAGES.c.id == FEEDBACK.c.message_id)
        .where(MESSAGES.c.conversation_id.in_(conversation_ids), FEEDBACK.c.thumb.is_not(None))
        .order_by(FEEDBACK.c.given_at, FEEDBACK.c.id)
    )
    found: dict[str, list[GivenThumb]] = {}
    for row in connection.execute(query):
        given = GivenThumb(row.message_id, Thumb(row.thumb), row.given_at, tuple(row.reasons))
        found.setdefault(row.conversation_id, []).append(given)
    return found


def _leaf(row: Any) -> Leaf:
    return Leaf(
        row.leaf_index,
        row.id,
        row.battle_id,
        row.arena,
        Mode(row.mode),
        Outcome(row.outcome),
        row.model_a,
        row.model_b,
        row.probability,
        row.policy,
        row.cast_at,
        row.digest,
        row.leaf_hash,
    )


def _voted(row: Any, transcript: Transcript | None) -> VotedConversation:
    return VotedConversation(
        leaf=_leaf(row),
        transcript=transcript,
        voter_id=row.voter_id,
        address_hash=row.address_hash,
        reasons=tuple(row.reasons or ()),
        marks=frozenset(map(Mark, row.marks or ())),
        dwell_s=row.dwell_s,
        salt=row.salt,
    )
