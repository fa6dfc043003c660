"""The arena itself, without a page: what can be done, by whom, under which rules. REST and the pages both call this."""

import asyncio
import json
import mimetypes
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from secrets import token_urlsafe
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

from fastchat.access.people import Visitor
from fastchat.arena import battles
from fastchat.arena.administration import Administration
from fastchat.arena.answering import Clock, Pace
from fastchat.arena.config import DEFAULT, ArenaConfig
from fastchat.arena.drafts import Drafts
from fastchat.arena.files import FileLimits, Files
from fastchat.arena.happenings import ConversationShared, Tell, ThumbGiven, VoteCast, tell_nobody
from fastchat.arena.ids import new_id
from fastchat.arena.leaderboard.board import Board
from fastchat.arena.live import Live, Published
from fastchat.arena.moderation.base import Moderator
from fastchat.arena.moderation.nothing import Nothing
from fastchat.arena.own_data import without_names
from fastchat.arena.prompting import printable
from fastchat.arena.records import (
    Consent,
    Conversation,
    FilePart,
    Mode,
    Outcome,
    Part,
    Sampling,
    TextPart,
    Thumb,
)
from fastchat.arena.retention import keep_retention
from fastchat.arena.screening import Screening
from fastchat.arena.standings import Standings
from fastchat.arena.store import people
from fastchat.arena.store.store import Store
from fastchat.arena.transparency.heads import SignedTreeHead
from fastchat.arena.transparency.receipts import ConsistencyProof, Receipt
from fastchat.arena.turns import Turns
from fastchat.arena.venue import DAY_S, HOUR_S, Allowance, Venue, unknown_arena
from fastchat.arena.views import (
    ConversationView,
    Event,
    ModelView,
    StateEvent,
    SummaryView,
    share_path,
    shared_view_of,
    summary_view_of,
    view_of,
)
from fastchat.arena.voting import Voting, tidy
from fastchat.client.chat import ChatClient
from fastchat.client.fleet import Fleet
from fastchat.core.errors import InvalidRequest, NotFound, NotNow

FILES_AN_HOUR = 100
NOBODY = ""  # the id of whoever has left nothing here
_SHARE_BYTES = 16
_TITLE_CHARS = 200


class Arena:
    """One installation: all its named arenas, one store, one fleet of models.

    Entering it takes up the votes so far; leaving it ends and keeps what is being answered.
    """

    def __init__(
        self,
        *,
        store: Store,
        fleet: Fleet,
        chat: ChatClient,
        key: bytes,  # the installation's secret
        arenas: Mapping[str, ArenaConfig] | None = None,
        moderators: Mapping[str, Moderator] | None = None,  # by arena
        rng: random.Random | None = None,
        wall: Clock = time.time,
        clock: Clock = time.monotonic,
        pace: Pace | None = None,
        limits: FileLimits | None = None,
        tell: Tell = tell_nobody,
    ) -> None:
        """
        Raises:
            SetupError: a file that an arena names cannot be read.
        """
        self._store = store
        self._rng = rng or random.Random()
        self._wall = wall
        self._pace = pace = pace or Pace()
        configs = {DEFAULT: ArenaConfig(), **(arenas or {})}
        self._venues = {
            name: Venue(name, config, fleet=fleet, rng=self._rng, clock=clock) for name, config in configs.items()
        }
        moderators = moderators or {}
        screenings = {
            name: Screening(config, moderators.get(name) or Nothing(), key=key, clock=clock)
            for name, config in configs.items()
        }
        self._files = Files(store, limits or FileLimits())
        self._uploads = Allowance.of("files", FILES_AN_HOUR, HOUR_S, clock)
        self._live = Live(pace)
        self._turns = Turns(
            store, self._files, self._live, chat, screenings, self._look, pace=pace, wall=wall, clock=clock, tell=tell
        )
        self._tell = tell
        self._drafts = Drafts()
        self._voting = Voting(store, self._venues, key=key, wall=wall)
        self.administration = Administration(store, self._venues, self._live, self._voting, wall=wall)
        # Two requests of one voter may come at once, and both would see a conversation that waits for a question.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._group = asyncio.TaskGroup()
        self._retention: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._voting.take_up()
        for venue in self._venues.values():
            await venue.load_settings(self._store)
        await self._group.__aenter__()
        self._retention = self._group.create_task(
            keep_retention(self._store, self.configs, wall=self._wall, every_s=self._pace.retention_s)
        )
        await self._live.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._live.__aexit__(kind, error, traceback)
        if self._retention is not None:
            self._retention.cancel()
        await self._group.__aexit__(None, None, None)

    def let_go(self) -> None:
        """End what is being answered, and with it the connections of those who follow: the server is to close."""
        self._live.interrupt()

    @property
    def configs(self) -> dict[str, ArenaConfig]:
        return {name: venue.config for name, venue in self._venues.items()}

    def arenas(self, who: Visitor) -> dict[str, ArenaConfig]:
        """Those this visitor may know of: the listed ones, and their own."""
        return {
            name: venue.config
            for name, venue in self._venues.items()
            if venue.is_open_to(who) or venue.config.is_listed
        }

    def config(self, who: Visitor, arena: str) -> ArenaConfig:
        return self._venue(who, arena).config

    def models(self, who: Visitor, arena: str) -> list[ModelView]:
        """Those that can be chosen by name, in the order of the fleet."""
        entrants = self._venue(who, arena).entrants.values()
        return [ModelView(name=one.name, can_see=one.can_see) for one in entrants if one.is_listed]

    async def start(
        self,
        who: Visitor,
        arena: str,
        mode: Mode,
        *,
        models: Sequence[str] = (),  # side by side: two; direct: one; battle: none
        system: str = "",
        sampling: Sampling | None = None,
        category: str | None = None,
    ) -> ConversationView:
        """An empty conversation. Nothing is stored, and nobody is drawn, before its first question."""
        venue = self._venue(who, arena)
        venue.check_offers(mode)
        if category is not None and category not in venue.config.categories:
            allowed = ", ".join(venue.config.categories) or "none"
            raise InvalidRequest(f"There is no category {category[:80]!r} here. Allowed: {allowed}.", param="category")
        if len(system) > venue.config.integrity.question_chars:
            raise InvalidRequest(
                f"The system message has more than {venue.config.integrity.question_chars:,} characters.",
                param="system",
            )
        chosen = venue.choose(mode, models)
        venue.take_a_start(who)
        now = self._wall()
        draft = Conversation(
            conversation_id=new_id(now),
            arena=arena,
            mode=mode,
            voter_id=await self._voter_id(who),
            models=chosen,
            created_at=now,
            updated_at=now,
            system=printable(system),
            sampling=sampling or Sampling(),
            category=category,
        )
        self._drafts.add(draft, who.address_hash)
        return self._look(draft)

    async def ask(
        self, who: Visitor, conversation_id: str, question: Sequence[Part], *, sampling: Sampling | None = None
    ) -> ConversationView:
        """Begin a turn. The answers are written in the background; `follow` shows them."""
        async with self._changing(who, conversation_id) as conversation:
            venue = self._venue(who, conversation.arena)
            battles.check_may_ask(conversation, venue.config.integrity)
            is_new = conversation_id in self._drafts
            asked = await self._turns.ask(
                who,
                venue,
                conversation,
                question,
                is_new=is_new,
                sampling=sampling,
                is_of_images=battles.is_of_images(conversation),
            )
            self._drafts.remove(conversation_id)
            return self._look(asked)

    async def follow(self, who: Visitor, conversation_id: str) -> AsyncGenerator[Event, None]:
        """The state, then what is added, until nothing is being written; any number may follow.

        When the last follower has been gone for a while, the writing stops.
        """
        async with aclosing(self.published(who, conversation_id)) as news:
            async for published in news:
                yield published.event

    async def published(self, who: Visitor, conversation_id: str) -> AsyncGenerator[Published, None]:
        """What `follow` gives, with the bytes that all followers share."""
        await self._own(who, conversation_id)
        live = self._live.get(conversation_id)
        if live is None:
            yield Published(0, StateEvent(conversation=await self.conversation(who, conversation_id)))
            return
        async with aclosing(live.follow()) as news:
            async for published in news:
                yield published

    async def stop(self, who: Visitor, conversation_id: str) -> ConversationView:
        await self._own(who, conversation_id)
        await self._end(conversation_id)
        return await self.conversation(who, conversation_id)

    async def regenerate(self, who: Visitor, conversation_id: str) -> ConversationView:
        """Both answers of the last turn anew, by the same models."""
        async with self._changing(who, conversation_id) as conversation:
            venue = self._venue(who, conversation.arena)
            battles.check_may_regenerate(conversation, venue.config.integrity)
            return self._look(await self._turns.regenerate(who, venue, conversation))

    async def edit(self, who: Visitor, conversation_id: str, turn: int, question: Sequence[Part]) -> ConversationView:
        """Go back to before that turn and ask this instead. Not after the vote; what was said stays stored."""
        async with self._changing(who, conversation_id) as conversation:
            venue = self._venue(who, conversation.arena)
            battles.check_may_edit(conversation, turn)
            before = battles.taken_back(conversation, turn)
            is_of_images = battles.is_of_images(conversation)
            asked = await self._turns.ask(who, venue, before, question, instead_of=turn, is_of_images=is_of_images)
            return self._look(asked)

    async def vote(
        self, who: Visitor, conversation_id: str, token: str, outcome: Outcome, *, reasons: Sequence[str] = ()
    ) -> tuple[ConversationView, Receipt]:
        """Acknowledged after it is on the disk. Reveals the names."""
        async with self._changing(who, conversation_id) as conversation:
            venue = self._venue(who, conversation.arena)
            voted, receipt = await self._voting.cast(who, venue, conversation, token, outcome, reasons)
            assert voted.vote is not None
            self._tell(voted, VoteCast(voted.vote), who.address_hash)
            return self._look(voted), receipt

    async def receipt(self, vote_id: str) -> Receipt:
        """Of a vote that was cast, made anew under the newest head."""
        return await self._voting.receipt(vote_id)

    def log_head(self) -> SignedTreeHead | None:
        return self._voting.head()

    async def log_proof(self, old_size: int) -> ConsistencyProof:
        """That the newest head continues the one of this size."""
        return await self._voting.proof(old_size)

    async def rate(self, who: Visitor, message_id: str, thumb: Thumb | None, *, reasons: Sequence[str] = ()) -> None:
        voter_id = await self._known_id(who)
        conversation = await self._store.conversation_of_message(message_id)
        if conversation is None or not self._is_owned(conversation, who, voter_id):
            raise NotFound("There is no such message. Load the conversation again.")
        now = self._wall()
        await self._store.rate(message_id, voter_id, thumb, tidy(reasons), now)
        for answer in (answer for turn in conversation.turns for answer in turn.answers):
            if answer.message_id == message_id and thumb is not None:
                self._tell(conversation, ThumbGiven(answer, thumb, now), who.address_hash)

    async def conversation(self, who: Visitor, conversation_id: str) -> ConversationView:
        return self._look(await self._own(who, conversation_id))

    async def history(
        self, who: Visitor, arena: str, *, search: str = "", before: float | None = None, limit: int = 50
    ) -> list[SummaryView]:
        venue = self._venue(who, arena)
        found = await self._store.summaries(
            await self._known_id(who), arena, search=search, before=before, limit=max(1, min(limit, 200))
        )
        days = venue.config.history_days
        oldest = 0.0 if days is None else self._wall() - days * DAY_S
        return [summary_view_of(summary) for summary in found if summary.updated_at >= oldest]

    async def rename(self, who: Visitor, conversation_id: str, title: str) -> None:
        conversation = await self._own(who, conversation_id)
        title = " ".join(printable(title).split())[:_TITLE_CHARS]
        if conversation_id in self._drafts:
            self._drafts.change(replace(conversation, title=title))
        else:
            await self._store.rename(conversation_id, title)

    async def delete(self, who: Visitor, conversation_id: str) -> None:
        """Erase its texts; a vote on it stays in the log, without them."""
        async with self._changing(who, conversation_id):  # else a question that is on its way would be kept after all
            await self._end(conversation_id)
            self._drafts.remove(conversation_id)
            await self._store.erase_conversation(conversation_id, self._wall())

    async def share(self, who: Visitor, conversation_id: str) -> str:
        """The path of a read-only page; a battle must have been voted on. Asking twice gives the same."""
        async with self._changing(who, conversation_id) as conversation:
            battles.check_may_share(conversation)
            share_id = conversation.share_id or token_urlsafe(_SHARE_BYTES)
            if conversation.share_id is None:
                await self._store.set_share_id(conversation_id, share_id)
                self._tell(conversation, ConversationShared(self._wall()), who.address_hash)
            return share_path(share_id)

    async def unshare(self, who: Visitor, conversation_id: str) -> None:
        await self._own(who, conversation_id)
        await self._store.set_share_id(conversation_id, None)

    async def shared(self, share_id: str, who: Visitor | None = None) -> ConversationView:
        """For anybody with the link; where an arena has members, for them alone."""
        return shared_view_of(await self._shared(share_id, who))

    async def shared_file(self, share_id: str, file_id: str, who: Visitor | None = None) -> tuple[bytes, str]:
        """A file of a shared conversation: content and media type."""
        conversation = await self._shared(share_id, who)
        parts = (part for turn in conversation.turns for part in turn.question)
        found = await self._store.file(file_id) if any(_is_file(part, file_id) for part in parts) else None
        if found is None:
            raise NotFound("There is no such file on this page.")
        return found[0], found[1]

    async def upload(self, who: Visitor, content: bytes, media_type: str, name: str) -> Part:
        """Check and store a file. Images are drawn anew, so nothing but pixels stays; of a PDF the text is read."""
        now = self._wall()
        self._uploads.take(who)
        voter_id = await self._voter_id(who)
        return await self._files.add(voter_id, content, media_type, name, file_id=new_id(now), now=now)

    async def file(self, who: Visitor, file_id: str) -> tuple[bytes, str]:
        """Content and media type."""
        return await self._files.get(await self._known_id(who), file_id)

    async def random_question(self, who: Visitor, arena: str, *, category: str | None = None) -> Sequence[Part]:
        """One of the arena's own."""
        question = self._venue(who, arena).questions.draw(self._rng, category)
        words = TextPart(text=question.text)
        if question.image is None:
            return (words,)
        content = await asyncio.to_thread(question.image.read_bytes)
        media_type = mimetypes.guess_type(question.image.name)[0] or "image/png"
        return (words, await self.upload(who, content, media_type, question.image.name))

    def standings(self, who: Visitor, arena: str) -> Standings:
        """How the votes of this arena rate its models at the moment."""
        venue, head = self._venue(who, arena), self.log_head()
        log = {"tree_size": head.tree_size, "root_hash": head.root_hash.hex()} if head else None
        return venue.standings({"log": log})

    async def leaderboard(self, who: Visitor, arena: str) -> Board:
        """The same whole, with all that is needed to compute it again."""
        return await self.standings(who, arena).board(self._wall())

    async def consent(self, who: Visitor, arena: str) -> Consent | None:
        """What this visitor has agreed to; None: to nothing, or to an older version."""
        version = self._venue(who, arena).config.terms_version
        newest = await self._store.consent(await self._known_id(who), arena)
        return newest if newest is not None and newest.version == version else None

    async def give_consent(self, who: Visitor, arena: str, version: str, *, may_publish: bool) -> None:
        current = self._venue(who, arena).config.terms_version
        if version != current:
            raise NotNow("The terms have changed meanwhile. Load the page again and read them.", param="version")
        given = Consent(version, self._wall(), may_publish)
        await self._store.add_consent(await self._voter_id(who), arena, given)

    async def export_my_data(self, who: Visitor) -> bytes:
        """JSON of all that is kept of this visitor."""
        kept = without_names(await self._store.everything_of(await self._known_id(who)))
        return json.dumps(kept, ensure_ascii=False, indent=2).encode()

    async def delete_my_data(self, who: Visitor) -> None:
        voter_id = await self._known_id(who)
        if voter_id == NOBODY:
            return
        for live in self._live.all():
            if live.conversation.voter_id == voter_id:
                live.stop()
                await live.ended()
        self._drafts.remove_of(voter_id)
        await self._store.erase_voter(voter_id, self._wall())

    def _look(self, conversation: Conversation) -> ConversationView:
        """As its voter sees it."""
        return view_of(conversation, vote_token=self._voting.token_of(conversation))

    def _venue(self, who: Visitor, arena: str) -> Venue:
        venue = self._venues.get(arena)
        if venue is None:
            raise unknown_arena(arena)
        venue.check_admits(who)
        return venue

    async def _voter_id(self, who: Visitor) -> str:
        return await self._store.voter_id(who.voter_key, who.person.name if who.person else None)

    async def _known_id(self, who: Visitor) -> str:
        """For what only looks: that makes nobody known, else each call without a cookie would leave a row behind."""
        return await self._store.read(people.known_voter, who.voter_key, None) or NOBODY

    @asynccontextmanager
    async def _changing(self, who: Visitor, conversation_id: str) -> AsyncIterator[Conversation]:
        """One change of a conversation at a time."""
        lock = self._locks.setdefault(conversation_id, asyncio.Lock())
        async with lock:
            yield await self._own(who, conversation_id)

    async def _own(self, who: Visitor, conversation_id: str) -> Conversation:
        """
        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        voter_id = await self._known_id(who)
        live = self._live.get(conversation_id)
        found = live.conversation if live else self._drafts.get(conversation_id)
        found = found or await self._store.conversation(conversation_id)
        if found is None or not self._is_owned(found, who, voter_id):
            raise NotFound("There is no such conversation. Start a new one.")
        return found

    def _is_owned(self, conversation: Conversation, who: Visitor, voter_id: str) -> bool:
        venue = self._venues.get(conversation.arena)
        return conversation.voter_id == voter_id and venue is not None and venue.is_open_to(who)

    async def _shared(self, share_id: str, who: Visitor | None) -> Conversation:
        found = await self._store.shared(share_id)
        venue = self._venues.get(found.arena) if found else None
        is_open = venue is not None and (not venue.config.members or (who is not None and venue.is_open_to(who)))
        if found is None or found.is_blind or not is_open:
            raise NotFound("There is no such page: its owner has taken it back, or the link is incomplete.")
        return found

    async def _end(self, conversation_id: str) -> None:
        live = self._live.get(conversation_id)
        if live is not None:
            live.stop()
            await live.ended()


def _is_file(part: Part, file_id: str) -> bool:
    return isinstance(part, FilePart) and part.file_id == file_id
