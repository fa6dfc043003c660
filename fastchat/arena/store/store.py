"""What the arena asks of its store: every method that changes something returns when it is on the disk."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fastchat.arena.ids import new_id
from fastchat.arena.records import Consent, Conversation, Summary, Thumb, Turn
from fastchat.arena.store import admin, conversations, erasure, files, people, votes
from fastchat.arena.store.admin import AdminAction, Judgement
from fastchat.arena.store.backup import back_up
from fastchat.arena.store.ballots import Ballot, CountedVote
from fastchat.arena.store.database import Database
from fastchat.arena.store.files import StoredFile
from fastchat.arena.store.votes import Entry, VoteLog
from fastchat.arena.store.writer import Writer
from fastchat.arena.transparency.findings import Verdict
from fastchat.arena.transparency.heads import LogKey, SignedTreeHead, Signer
from fastchat.arena.transparency.receipts import ConsistencyProof, Receipt
from fastchat.arena.transparency.verify import Audit, in_order
from fastchat.core.errors import AlreadyVoted, NotFound

__all__ = ["Ballot", "CountedVote", "Store", "open_store", "read_store"]

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

_ERASED_AT_ONCE = 50  # conversations; in between others may write


@asynccontextmanager
async def open_store(address: str, signer: Signer, *, clock: Callable[[], float] = time.time) -> AsyncIterator["Store"]:
    """Own a database and write to it. `address` is a path, `sqlite:///PATH` or `postgresql://…`.

    Raises:
        SetupError: it cannot be opened, belongs to another process, or its votes are not those that this key signed.
    """
    store = await asyncio.to_thread(_opened, address, signer, clock)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


def _opened(address: str, signer: Signer, clock: Callable[[], float]) -> "Store":
    database = Database.open(address)
    try:
        log = VoteLog(signer, clock, database.backend.name)
        with database.reading() as connection:
            log.load(connection)
    except BaseException:
        database.close()
        raise
    return Store(database, Writer(database), log, clock)


@asynccontextmanager
async def read_store(address: str) -> AsyncIterator["Store"]:
    """Read beside the owner, or without one: to verify, export, back up.

    Raises:
        SetupError: it cannot be opened, or is not of this version.
    """
    store = Store(await asyncio.to_thread(Database.read_only, address), None, None, time.time)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


class Store:
    """Reads go to threads of their own and never wait for the writer, which commits in groups."""

    def __init__(
        self, database: Database, writer: Writer | None, log: VoteLog | None, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._maybe_writer = writer
        self._maybe_log = log
        self._clock = clock

    def close(self) -> None:
        """What waits is written first. Blocks."""
        if self._maybe_writer:
            self._maybe_writer.close()
        self._database.close()

    async def read(
        self, work: Callable[Concatenate[Connection, P], ResultT], *args: P.args, **kwargs: P.kwargs
    ) -> ResultT:
        return await self._database.read(lambda connection: work(connection, *args, **kwargs))

    async def write(
        self, work: Callable[Concatenate[Connection, P], ResultT], *args: P.args, **kwargs: P.kwargs
    ) -> ResultT:
        """In the writer's thread, in a transaction that others share; it may be run twice, the first time in vain."""
        return await self._writer.write(lambda connection: work(connection, *args, **kwargs))

    async def voter_id(self, voter_key: str, login: str | None) -> str:
        """Of a known voter, or of one made here."""
        known = await self.read(people.known_voter, voter_key, login)
        if known:
            return known
        now = self._clock()
        return await self.write(people.voter, voter_key, login, new_id(now), now)

    async def consent(self, voter_id: str, arena: str) -> Consent | None:
        """The newest."""
        return await self.read(people.consent, voter_id, arena)

    async def add_consent(self, voter_id: str, arena: str, consent: Consent) -> None:
        await self.write(people.add_consent, new_id(consent.given_at), voter_id, arena, consent)

    async def begin(self, conversation: Conversation, address_hash: str) -> None:
        """A conversation with its battle and the turns it has: the question of its first."""
        await self.write(conversations.begin, conversation, address_hash)

    async def add_turn(self, conversation: Conversation, turn: Turn) -> None:
        """A further question; also keeps the conversation's marks, title and time."""
        await self.write(conversations.add_turn, conversation, turn)

    async def save_answers(self, conversation: Conversation, turn: Turn) -> None:
        """The answers of a turn, once nothing more comes; those of an earlier attempt are superseded."""
        await self.write(conversations.save_answers, conversation, turn)

    async def supersede(self, conversation_id: str, from_turn: int) -> None:
        """These turns were taken back; they stay, but no longer belong to the conversation."""
        await self.write(conversations.supersede, conversation_id, from_turn)

    async def conversation(self, conversation_id: str) -> Conversation | None:
        """An answer that was being written when the server ended is `INTERRUPTED`."""
        return await self.read(conversations.by_id, conversation_id)

    async def conversation_of_message(self, message_id: str) -> Conversation | None:
        return await self.read(conversations.by_message, message_id)

    async def shared(self, share_id: str) -> Conversation | None:
        return await self.read(conversations.by_share_id, share_id)

    async def summaries(
        self, voter_id: str, arena: str, *, search: str = "", before: float | None = None, limit: int = 50
    ) -> list[Summary]:
        """Newest first."""
        return await self.read(conversations.summaries, voter_id, arena, search, before, limit)

    async def rename(self, conversation_id: str, title: str) -> None:
        await self.write(conversations.rename, conversation_id, title)

    async def set_share_id(self, conversation_id: str, share_id: str | None) -> None:
        await self.write(conversations.set_share_id, conversation_id, share_id)

    async def cast(self, ballot: Ballot) -> Receipt:
        """Append a vote to the log. A caller who is cancelled may have voted; asking again tells.

        Raises:
            AlreadyVoted: this battle has its vote; carries the receipt of that.
        """
        entry = Entry.of(ballot)
        placed = await self._writer.write_in_series(self._log, entry)
        if placed.is_new:
            return self._log.receipt(entry.leaf, placed.index)
        raise AlreadyVoted(await self.receipt(battle_id=ballot.battle_id))

    async def receipt(self, *, vote_id: str = "", battle_id: str = "") -> Receipt:
        """Of a vote that was cast, made anew under the newest head.

        Raises:
            NotFound: there is none.
        """
        stored = await self.read(votes.placed_leaf, vote_id=vote_id, battle_id=battle_id)
        if stored is None or stored.leaf is None:
            raise NotFound("There is no such vote.")
        return self._log.receipt(stored.leaf, stored.index)

    def head(self) -> SignedTreeHead | None:
        """The newest; None as long as there are no votes."""
        return self._log.head

    async def continuation(self, old_size: int) -> ConsistencyProof:
        """That the newest head continues the one that was signed at this size.

        Raises:
            NotFound: none was signed at this size.
        """
        old = await self.read(votes.head_of_size, old_size)
        if old is None:
            raise NotFound(f"No head was signed at the size {old_size}.", param="old_size")
        return self._log.continuation(old)

    async def audit(
        self, key: LogKey, *, receipts: Iterable[Receipt] = (), saved_heads: Iterable[SignedTreeHead] = ()
    ) -> Verdict:
        """Read the whole log and hold it against its heads, and against what people kept."""
        backend = self._database.backend

        def verify(connection: Connection) -> Verdict:
            audit = Audit(key, receipts=receipts, saved_heads=saved_heads)
            try:
                with closing(votes.leaves(connection)) as leaves, closing(votes.heads(connection)) as heads:
                    for record in in_order(leaves, heads):
                        audit.add(record)
            except DBAPIError as error:
                if not backend.is_damage(error):
                    raise
                audit.break_off(backend.explain(error))
            return audit.finish()

        return await self.read(verify)

    async def problems(self) -> list[str]:
        """What the database finds wrong with its own files. Reads all of them."""
        backend = self._database.backend

        def look(connection: Connection) -> list[str]:
            try:
                return backend.problems(connection)
            except DBAPIError as error:
                if not backend.is_damage(error):
                    raise
                return [backend.explain(error)]

        return await self.read(look)

    async def rate(
        self, message_id: str, voter_id: str, thumb: Thumb | None, reasons: Sequence[str], at: float
    ) -> None:
        await self.write(people.rate, new_id(at), message_id, voter_id, thumb, reasons, at)

    async def add_judgement(
        self, message_id: str, moderator: str, is_flagged: bool, categories: Any, at: float
    ) -> None:
        await self.write(admin.add_judgement, new_id(at), message_id, moderator, is_flagged, categories, at)

    async def flagged(self, arena: str, *, is_reviewed: bool = False, limit: int = 100) -> list[Judgement]:
        """Newest first."""
        return await self.read(admin.flagged, arena, is_reviewed=is_reviewed, limit=limit)

    async def review(self, judgement_id: str, login: str, at: float) -> None:
        """An admin has looked at it. Noted in `admin_actions`."""
        action = AdminAction(new_id(at), login, "review", judgement_id, {}, at)

        def work(connection: Connection) -> None:
            admin.review(connection, judgement_id, login)
            admin.note(connection, action)

        await self.write(work)

    async def add_file(
        self, file_id: str, voter_id: str, content: bytes, media_type: str, name: str, text: str | None, at: float
    ) -> None:
        await self.write(files.add, file_id, voter_id, content, media_type, name, text, at)

    async def file(self, file_id: str) -> StoredFile | None:
        return await self.read(files.by_id, file_id)

    async def replay_votes(self, arena: str | None, take: Callable[[CountedVote], object]) -> None:
        """Every vote so far, in the log's order; a page at a time, so that others get their turn."""
        following: int | None = 0
        while following is not None:
            page = await self.read(votes.counted, arena, following)
            following = page.following
            for vote in page.votes:
                take(vote)

    async def erase_conversation(self, conversation_id: str, at: float) -> None:
        await self._erase(erasure.erase_conversations, [conversation_id], at)

    async def erase_voter(self, voter_id: str, at: float) -> None:
        """Their texts, files, salts, consents and keys; votes stay, without anybody behind them."""
        await self._erase(erasure.erase_voter, voter_id, at)

    async def erase_older(self, arena: str, before: float, at: float) -> int:
        """Retention: how many conversations were erased."""
        count = 0
        while ids := await self.read(erasure.older, arena, before, _ERASED_AT_ONCE):
            await self._erase(erasure.erase_conversations, ids, at)
            count += len(ids)
        await self._erase(erasure.erase_unused_files, before)
        return count

    async def compact(self) -> None:
        """Be rid of the last copies of what was erased since the last time, which deleting leaves in SQLite's file.

        Once a day is enough, when few vote: they wait for as long as the file takes to be written anew.
        """
        await self._writer.write(lambda _: None, afterwards=self._database.backend.compact)

    async def _erase(
        self, work: Callable[Concatenate[Connection, P], object], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        backend = self._database.backend

        def erase(connection: Connection) -> None:
            if work(connection, *args, **kwargs) != 0:  # of what can be counted
                backend.note_erasure(connection)

        await self._writer.write(erase, afterwards=backend.forget)

    async def everything_of(self, voter_id: str) -> Mapping[str, Any]:
        """All that is kept of a voter, as JSON."""
        return await self.read(people.everything_of, voter_id)

    async def model_settings(self, arena: str) -> Mapping[str, Mapping[str, Any]]:
        return await self.read(admin.model_settings, arena)

    async def set_model_settings(
        self, arena: str, model: str, settings: Mapping[str, Any] | None, *, login: str, at: float
    ) -> None:
        """None removes them. Noted in `admin_actions`."""
        details = {"arena": arena, "settings": settings}
        action = AdminAction(new_id(at), login, "set_model_settings", model, details, at)

        def work(connection: Connection) -> None:
            admin.set_model_settings(connection, arena, model, settings, login, at)
            admin.note(connection, action)

        await self.write(work)

    async def note_reading(self, conversation_id: str, login: str, at: float) -> None:
        """An admin has read somebody's conversation."""
        await self.write(admin.note, AdminAction(new_id(at), login, "read_conversation", conversation_id, {}, at))

    async def admin_actions(self, limit: int = 100) -> list[AdminAction]:
        """Newest first."""
        return await self.read(admin.actions, limit)

    async def backup(self, file: Path) -> None:
        """One SQLite file with everything but the log's key, of one moment, while others go on writing.

        Raises:
            SetupError: something is there already, or it cannot be written.
        """
        await self.read(back_up, self._database, file)

    @property
    def _writer(self) -> Writer:
        if self._maybe_writer is None:
            raise RuntimeError("this store was opened to read only")
        return self._maybe_writer

    @property
    def _log(self) -> VoteLog:
        if self._maybe_log is None:
            raise RuntimeError("this store was opened to read only")
        return self._maybe_log
