"""The log of votes: rows on the disk, and beside them in memory the Merkle tree over their hashes.

Only the writer's thread adds to it. What a receipt needs, the tree below the newest committed head, never changes
again, so receipts are made in any thread.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    desc,
    func,
    insert,
    select,
    type_coerce,
)
from sqlalchemy.types import NULLTYPE

from fastchat.arena.records import Mark, Outcome
from fastchat.arena.store.ballots import Ballot, CountedVote
from fastchat.arena.store.rows import storable
from fastchat.arena.store.tables import CONVERSATIONS, TREE_HEADS, VOTE_DETAILS, VOTES
from fastchat.arena.transparency.heads import SignedTreeHead, Signer, UnreadableHead, read_head_row
from fastchat.arena.transparency.leaves import Erasable, StoredLeaf, VoteLeaf, salted_digest
from fastchat.arena.transparency.merkle import MerkleTree
from fastchat.arena.transparency.receipts import ConsistencyProof, Receipt
from fastchat.core.errors import NotFound, SetupError

_PAGE = 5000

# Every batch of votes needs these; SQLAlchemy takes its time to build a statement.
_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_PLACES = select(VOTES.c.battle_id, VOTES.c.leaf_index).where(VOTES.c.battle_id.in_(_IDS))
_ERASED = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.id.in_(_IDS), CONVERSATIONS.c.erased_at.is_not(None))
_ADD_VOTE, _ADD_DETAILS, _ADD_HEAD = insert(VOTES), insert(VOTE_DETAILS), insert(TREE_HEADS)


@dataclass(frozen=True, slots=True)
class Entry:
    """A ballot and what the log will hold of it."""

    ballot: Ballot
    leaf: VoteLeaf
    leaf_hash: bytes

    @classmethod
    def of(cls, ballot: Ballot) -> "Entry":
        ballot = replace(ballot, reasons=tuple(map(storable, ballot.reasons)))
        erasable = Erasable(
            voter=ballot.voter_id,
            address_hash=ballot.address_hash,
            conversation_hash=ballot.content_digest,
            reasons=ballot.reasons,
            marks=tuple(sorted(ballot.marks)),
            dwell_s=ballot.dwell_s,
        )
        leaf = VoteLeaf(
            vote_id=ballot.vote_id,
            battle_id=ballot.battle_id,
            arena=ballot.arena,
            mode=ballot.mode,
            outcome=ballot.outcome.value,
            model_a=ballot.model_a,
            model_b=ballot.model_b,
            probability=ballot.probability,
            cast_at=ballot.cast_at,
            digest=salted_digest(ballot.salt, erasable),
        )
        return cls(ballot, leaf, leaf.leaf_hash)


@dataclass(frozen=True, slots=True)
class Placed:
    index: int  # in the log
    is_new: bool  # False: the battle had a vote, which stands there


class VoteLog:
    """A `Series` of the writer: votes that wait are written together, under one signed head."""

    def __init__(self, signer: Signer, clock: Callable[[], float], name: str) -> None:
        self._name = name  # of the database, for people
        self._signer = signer
        self._clock = clock
        self._tree = MerkleTree()
        self._drafted: SignedTreeHead | None = None
        self._is_doubtful = True  # the tree may not be what is on the disk
        self.head: SignedTreeHead | None = None  # the newest that is committed

    def load(self, connection: Connection) -> None:
        """Make the tree what the disk has: at the start, and where a commit failed or nobody knows how it went.

        Raises:
            SetupError: the votes are not those that were signed, or were signed by somebody else.
        """
        self._tree.truncate(self.head.tree_size if self.head else 0)
        rows = connection.execute(
            select(_as_stored(VOTES.c.leaf_hash))
            .where(VOTES.c.leaf_index >= self._tree.size)
            .order_by(VOTES.c.leaf_index)
            .execution_options(yield_per=_PAGE)
        )
        self._tree.extend(_whole(leaf_hash) for leaf_hash in rows.scalars())
        self._drafted = None
        self.head = self._checked(newest_head(connection))
        self._is_doubtful = False

    def write(self, connection: Connection, items: Sequence[Entry]) -> list[Placed]:
        if self._is_doubtful:
            self.load(connection)
        places = _places(connection, [entry.ballot.battle_id for entry in items])
        taken: list[Entry] = []
        results: list[Placed] = []
        for entry in items:
            battle_id = entry.ballot.battle_id
            is_new = battle_id not in places
            if is_new:
                places[battle_id] = self._tree.size + len(taken)
                taken.append(entry)
            results.append(Placed(places[battle_id], is_new))
        if taken:
            self._append(connection, taken)
        return results

    def committed(self) -> None:
        if self._drafted is not None:
            self.head, self._drafted = self._drafted, None

    def failed(self) -> None:
        self._drafted = None
        self._is_doubtful = True

    def receipt(self, leaf: VoteLeaf, index: int) -> Receipt:
        """For a vote that is committed; under the newest head, which covers it."""
        assert self.head is not None
        return Receipt.issue(leaf, index, self._tree, self.head)

    def continuation(self, old: SignedTreeHead) -> ConsistencyProof:
        """That the newest head continues this one."""
        if self.head is None:
            raise NotFound("The log has no votes.")
        return ConsistencyProof.issue(old, self.head, self._tree)

    def _append(self, connection: Connection, entries: Sequence[Entry]) -> None:
        first = self._tree.size
        connection.execute(_ADD_VOTE, [_vote_row(entry, first + at) for at, entry in enumerate(entries)])
        erased = _erased(connection, {entry.ballot.conversation_id for entry in entries})
        connection.execute(_ADD_DETAILS, [_details_row(entry.ballot, erased) for entry in entries])
        self._tree.extend([entry.leaf_hash for entry in entries])
        head = self._signer.sign(self._tree.size, self._tree.root(), self._clock())
        connection.execute(_ADD_HEAD, _head_row(head))
        self._drafted = head

    def _checked(self, head: SignedTreeHead | None) -> SignedTreeHead | None:
        size = self._tree.size
        if (head.tree_size if head else 0) != size or (head and head.root_hash != self._tree.root()):
            raise SetupError(
                f"The {size} votes in {self._name} are not those that were signed last. Nothing is added to a log that "
                "was changed: 'fastchat arena verify' shows where; restore a backup."
            )
        if head and not self._signer.public.has_signed(head):
            raise SetupError(
                f"The votes in {self._name} were signed with another key than the one given. A log has one key: bring "
                "it back from a backup, or begin with an empty database."
            )
        return head


def _whole(leaf_hash: object) -> bytes:
    """What is no hash becomes another one, so that the tree is not what was signed."""
    return leaf_hash if isinstance(leaf_hash, bytes) and len(leaf_hash) == 32 else bytes(32)


def _vote_row(entry: Entry, index: int) -> dict[str, object]:
    leaf = entry.leaf
    return {
        "leaf_index": index,
        "id": leaf.vote_id,
        "battle_id": leaf.battle_id,
        "arena": leaf.arena,
        "mode": leaf.mode,
        "outcome": leaf.outcome,
        "model_a": leaf.model_a,
        "model_b": leaf.model_b,
        "probability": leaf.probability,
        "cast_at": leaf.cast_at,
        "digest": leaf.digest,
        "leaf_hash": entry.leaf_hash,
    }


def _places(connection: Connection, battle_ids: Collection[str]) -> dict[str, int]:
    """Of these battles, those that have a vote, and where it stands."""
    return {row.battle_id: row.leaf_index for row in connection.execute(_PLACES, {"ids": battle_ids})}


def _erased(connection: Connection, conversation_ids: Collection[str]) -> Collection[str]:
    """Of these, what was erased while its vote was on the way."""
    return set(connection.scalars(_ERASED, {"ids": conversation_ids}))


def _details_row(ballot: Ballot, erased: Collection[str]) -> dict[str, object]:
    is_erased = ballot.conversation_id in erased
    return {
        "vote_id": ballot.vote_id,
        "conversation_id": ballot.conversation_id,
        "voter_id": None if is_erased else ballot.voter_id,
        "address_hash": None if is_erased else ballot.address_hash,
        "salt": None if is_erased else ballot.salt,
        "reasons": [] if is_erased else list(ballot.reasons),
        "marks": sorted(ballot.marks),
        "dwell_s": ballot.dwell_s,
    }


def _head_row(head: SignedTreeHead) -> dict[str, object]:
    return {
        "tree_size": head.tree_size,
        "root_hash": head.root_hash,
        "signed_at": head.signed_at,
        "log_id": head.log_id.hex(),
        "signature": head.signature,
    }


def _head(row: Row[Any]) -> SignedTreeHead:
    head = read_head_row(row._asdict())
    if isinstance(head, UnreadableHead):
        raise SetupError(
            f"The signed head of size {head.tree_size} is damaged: {head.problem}. 'fastchat arena verify' shows what "
            "else is; restore a backup."
        )
    return head


def _as_stored(column: Column[Any]) -> ColumnElement[Any]:
    """Without a look at what it is: SQLite puts anything anywhere, and what was changed has to be told, not to fail."""
    return type_coerce(column, NULLTYPE).label(column.name)  # Any: whatever is there


_LEAF = select(VOTES.c.id.label("vote_id"), *(_as_stored(column) for column in VOTES.c if column.name != "id"))
_HEADS = select(*map(_as_stored, TREE_HEADS.c))


def placed_leaf(connection: Connection, *, vote_id: str = "", battle_id: str = "") -> StoredLeaf | None:
    query = _LEAF.where(VOTES.c.id == vote_id if vote_id else VOTES.c.battle_id == battle_id)
    row = connection.execute(query).one_or_none()
    return _stored_leaf(row) if row else None


def leaves(connection: Connection) -> Generator[StoredLeaf, None, None]:
    """By index, as they are stored: nothing about them is believed. Close it where you do not read to the end."""
    query = _LEAF.order_by(VOTES.c.leaf_index).execution_options(yield_per=_PAGE)
    with connection.execute(query) as rows:
        yield from map(_stored_leaf, rows)


def heads(connection: Connection) -> Generator[SignedTreeHead | UnreadableHead, None, None]:
    """As they are stored, too."""
    query = _HEADS.order_by(TREE_HEADS.c.tree_size).execution_options(yield_per=_PAGE)
    with connection.execute(query) as rows:
        yield from (read_head_row(row._asdict()) for row in rows)


def newest_head(connection: Connection) -> SignedTreeHead | None:
    row = connection.execute(_HEADS.order_by(desc(TREE_HEADS.c.tree_size)).limit(1)).one_or_none()
    return _head(row) if row else None


def head_of_size(connection: Connection, tree_size: int) -> SignedTreeHead | None:
    row = connection.execute(_HEADS.where(TREE_HEADS.c.tree_size == tree_size)).one_or_none()
    return _head(row) if row else None


def _stored_leaf(row: Row[tuple[object, ...]]) -> StoredLeaf:
    values = row._asdict()
    return StoredLeaf.read(values["leaf_index"], values, values["leaf_hash"])


@dataclass(frozen=True, slots=True)
class Page:
    votes: Sequence[CountedVote]
    following: int | None  # index to go on from


def counted(connection: Connection, arena: str | None, first: int) -> Page:
    rows = connection.execute(_counted(arena).where(VOTES.c.leaf_index >= first).limit(_PAGE)).all()
    votes = [
        CountedVote(
            row.arena,
            row.mode,
            Outcome(row.outcome),
            row.model_a,
            row.model_b,
            row.cast_at,
            frozenset(map(Mark, row.marks or ())),
            row.category,
            row.language,
        )
        for row in rows
    ]
    return Page(votes, rows[-1].leaf_index + 1 if len(rows) == _PAGE else None)


def _counted(arena: str | None) -> Select[tuple[object, ...]]:
    columns = (VOTES.c.arena, VOTES.c.mode, VOTES.c.outcome, VOTES.c.model_a, VOTES.c.model_b, VOTES.c.cast_at)
    query = (
        select(VOTES.c.leaf_index, *columns, VOTE_DETAILS.c.marks, CONVERSATIONS.c.category, CONVERSATIONS.c.language)
        .join(VOTE_DETAILS, VOTE_DETAILS.c.vote_id == VOTES.c.id, isouter=True)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == VOTE_DETAILS.c.conversation_id, isouter=True)
        .order_by(VOTES.c.leaf_index)
    )
    return query if arena is None else query.where(VOTES.c.arena == arena)


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(VOTES)).scalar_one()
