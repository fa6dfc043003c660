"""What admins see and set while the arena runs. Each method asks first whether the visitor is one."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastchat.access.people import Visitor
from fastchat.arena.answering import Clock
from fastchat.arena.contenders import ModelSettings
from fastchat.arena.live import Live
from fastchat.arena.records import Conversation, Mode
from fastchat.arena.store.admin import AdminAction, Judgement
from fastchat.arena.store.store import Store
from fastchat.arena.venue import AnyVote, Venue, unknown_arena
from fastchat.arena.voting import Voting
from fastchat.core.errors import NotFound


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model as an arena has it at the moment."""

    name: str
    is_served: bool  # False: only its settings are left
    is_listed: bool
    is_drawn: bool
    can_see: bool
    weight: float  # that counts in draws, a boost included
    votes: int
    settings: ModelSettings  # what admins have set


@dataclass(frozen=True, slots=True)
class LiveBattle:
    """A conversation that is being answered."""

    conversation_id: str
    arena: str
    mode: Mode
    models: tuple[str, ...]
    turns: int
    asked_at: float
    letters: tuple[int, ...]  # written so far, by side
    followers: int


class Administration:
    def __init__(
        self,
        store: Store,
        venues: Mapping[str, Venue],
        live: Live,
        voting: Voting,
        *,
        wall: Clock,
    ) -> None:
        self._store = store
        self._venues = venues
        self._live = live
        self._voting = voting
        self._wall = wall

    def models(self, who: Visitor, arena: str) -> list[ModelStatus]:
        """
        Raises:
            AuthenticationFailed, PermissionDenied: this is no admin; so of all methods here.
            NotFound: there is no such arena.
        """
        venue = self._venue(who, arena)
        entrants = venue.all_entrants
        statuses = [
            ModelStatus(
                name=name,
                is_served=True,
                is_listed=one.is_listed and not one.is_hidden,
                is_drawn=not one.is_hidden and one.contender.weight_with(venue.tally) > 0,
                can_see=one.can_see,
                weight=one.contender.weight_with(venue.tally),
                votes=venue.tally.votes_of(name),
                settings=venue.settings.get(name, ModelSettings()),
            )
            for name, one in entrants.items()
        ]
        gone = [
            ModelStatus(name, False, False, False, False, 0.0, venue.tally.votes_of(name), settings)
            for name, settings in venue.settings.items()
            if name not in entrants
        ]
        return statuses + gone

    async def set_model(self, who: Visitor, arena: str, model: str, settings: ModelSettings) -> None:
        """Holds from the next draw on, and after a restart. Where nothing is set, the configuration holds."""
        venue = self._venue(who, arena)
        kept = settings.model_dump(exclude_none=True) or None
        login = who.require_admin().name
        await self._store.set_model_settings(arena, model, kept, login=login, at=self._wall())
        await venue.load_settings(self._store)

    def live(self, who: Visitor) -> list[LiveBattle]:
        """What is being answered at this moment, the oldest first."""
        who.require_admin()
        found = [_live_battle(live.conversation, live.followers) for live in self._live.all()]
        return sorted(found, key=lambda battle: battle.asked_at)

    def votes(self, who: Visitor, limit: int = 100) -> list[AnyVote]:
        """The newest first."""
        who.require_admin()
        return self._voting.newest(limit)

    async def flagged(
        self, who: Visitor, arena: str, *, is_reviewed: bool = False, limit: int = 100
    ) -> list[Judgement]:
        """What moderators objected to, the newest first."""
        self._venue(who, arena)
        return await self._store.flagged(arena, is_reviewed=is_reviewed, limit=limit)

    async def review(self, who: Visitor, judgement_id: str) -> None:
        """Somebody has looked at it."""
        await self._store.review(judgement_id, who.require_admin().name, self._wall())

    async def conversation(self, who: Visitor, conversation_id: str) -> Conversation:
        """Anybody's, with names and errors as they are. That an admin has read it is noted.

        Raises:
            NotFound: there is none.
        """
        login = who.require_admin().name
        live = self._live.get(conversation_id)
        found = live.conversation if live else await self._store.conversation(conversation_id)
        if found is None:
            raise NotFound("There is no such conversation.")
        await self._store.note_reading(conversation_id, login, self._wall())
        return found

    async def actions(self, who: Visitor, limit: int = 100) -> list[AdminAction]:
        """What admins did, the newest first."""
        who.require_admin()
        return await self._store.admin_actions(limit)

    def _venue(self, who: Visitor, arena: str) -> Venue:
        who.require_admin()
        venue = self._venues.get(arena)
        if venue is None:
            raise unknown_arena(arena)
        return venue


def _live_battle(conversation: Conversation, followers: int) -> LiveBattle:
    turn = conversation.turns[-1]
    return LiveBattle(
        conversation_id=conversation.conversation_id,
        arena=conversation.arena,
        mode=conversation.mode,
        models=conversation.models,
        turns=len(conversation.turns),
        asked_at=turn.asked_at,
        letters=tuple(len(answer.text) + len(answer.reasoning) for answer in turn.answers),
        followers=followers,
    )
