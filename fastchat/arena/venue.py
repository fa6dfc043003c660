"""One named arena as it runs: who may come in, who is there to meet, how often one may ask and vote."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from fastchat.access.limits import RateLimit, Rule, admit
from fastchat.access.people import Visitor
from fastchat.arena.answering import Clock
from fastchat.arena.config import ArenaConfig
from fastchat.arena.contenders import Entrant, ModelSettings, roster
from fastchat.arena.matchmaking import Draw, Matchmaker
from fastchat.arena.questions import QuestionSet
from fastchat.arena.records import Conversation, Mode
from fastchat.arena.standings import Counting, Standings
from fastchat.arena.store.store import Ballot, CountedVote, Store
from fastchat.arena.tally import Tally
from fastchat.client.fleet import Fleet
from fastchat.core.errors import AuthenticationFailed, InvalidRequest, NotFound, NotNow, PermissionDenied, UnknownModel

# An address is a household, an office or a network of phones, so it may do more than one voter.
VOTERS_AN_ADDRESS = 5
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0


AnyVote: TypeAlias = CountedVote | Ballot


@dataclass(frozen=True, slots=True)
class Allowance:
    """Something counted by voter and by address."""

    what: str
    by_voter: RateLimit
    by_address: RateLimit

    @classmethod
    def of(cls, what: str, count: int | None, period_s: float, clock: Clock) -> "Allowance":
        def limit(factor: int) -> RateLimit:
            return RateLimit([Rule(count * factor, period_s)] if count else [], clock=clock)

        return cls(what, limit(1), limit(VOTERS_AN_ADDRESS))

    def take(self, who: Visitor) -> None:
        admit(self.what, (self.by_voter, who.voter_key), (self.by_address, who.address_hash))


class Venue:
    def __init__(self, name: str, config: ArenaConfig, *, fleet: Fleet, rng: random.Random, clock: Clock) -> None:
        self.name = name
        self.config = config
        self.tally = Tally()
        self._counting = Counting()
        self.questions = QuestionSet.read(config.questions) if config.questions else QuestionSet()
        self.settings: Mapping[str, ModelSettings] = {}  # an admin's
        self._fleet = fleet
        self._matchmaker = Matchmaker(rng, config.matchmaking.policy)
        rules = config.integrity
        self._starts = Allowance.of("conversations", 2 * (rules.turns_per_minute or 0), MINUTE_S, clock)
        self._turns = Allowance.of("questions", rules.turns_per_minute, MINUTE_S, clock)
        self._votes = Allowance.of("votes", rules.votes_per_day, DAY_S, clock)

    def count(self, vote: AnyVote) -> None:
        """For the standings; and what was voted on blindly also tells matchmaking something."""
        self._counting.add(vote)
        if vote.mode == Mode.BATTLE:
            self.tally.add(vote.model_a, vote.model_b, vote.outcome)

    def standings(self, source: Mapping[str, Any]) -> Standings:
        """Of all but models that only battles show, or that an admin hides. `source`: more to say about the votes."""
        return self._counting.standings(self._unlisted, {"arena": self.name, **source})

    @property
    def _unlisted(self) -> frozenset[str]:
        entrants, anonymous = self.all_entrants, self.config.matchmaking.anony_only
        here = {one.name for one in entrants.values() if not one.is_listed or one.is_hidden}
        # Whoever is not served at the moment is no entrant; what was said of it holds all the same.
        gone = {
            name: self.settings.get(name, ModelSettings()) for name in {*anonymous, *self.settings} - entrants.keys()
        }
        return frozenset(here).union(
            name
            for name, own in gone.items()
            if own.is_hidden or (name in anonymous if own.is_anonymous is None else own.is_anonymous)
        )

    async def load_settings(self, store: Store) -> None:
        """What an admin has set, from the store."""
        kept = await store.model_settings(self.name)
        self.settings = {model: ModelSettings.model_validate(settings) for model, settings in kept.items()}

    def is_open_to(self, who: Visitor) -> bool:
        members = self.config.members
        if not members or who.is_admin:
            return True
        name = who.person.name if who.person else None
        return name is not None and any(name == member or fnmatchcase(name, member) for member in members)

    def check_admits(self, who: Visitor) -> None:
        """
        Raises:
            NotFound: it is for members, who alone know that it exists.
            AuthenticationFailed, PermissionDenied: it is for members.
        """
        if self.is_open_to(who):
            return
        if not self.config.is_listed:
            raise unknown_arena(self.name)
        if who.person is None:
            raise AuthenticationFailed(f"The arena {self.name!r} is for its members. Sign in first.")
        raise PermissionDenied(f"The arena {self.name!r} is for its members. Ask whoever runs it to let you in.")

    def check_offers(self, mode: Mode) -> None:
        """
        Raises:
            InvalidRequest: this arena has no such page.
        """
        if mode not in self.config.modes:
            raise InvalidRequest(
                f"This arena offers no {mode.value!r}. It offers: {', '.join(self.config.modes)}.", param="mode"
            )

    def take_a_start(self, who: Visitor) -> None:
        """An empty conversation costs memory, and of somebody unknown a row, though nobody has asked anything.

        Raises:
            RateLimited: too many conversations begun by this voter or from this address.
        """
        self._starts.take(who)

    def take_a_turn(self, who: Visitor) -> None:
        """
        Raises:
            RateLimited: too many questions by this voter or from this address.
        """
        self._turns.take(who)

    def take_a_vote(self, who: Visitor) -> None:
        """
        Raises:
            RateLimited: too many votes by this voter or from this address.
        """
        self._votes.take(who)

    @property
    def entrants(self) -> dict[str, Entrant]:
        """Who is there at the moment, by name."""
        return {name: entrant for name, entrant in self.all_entrants.items() if not entrant.is_hidden}

    @property
    def all_entrants(self) -> dict[str, Entrant]:
        """Those as well that an admin has hidden."""
        return roster(self._fleet.models, self.config, self.settings)

    def choose(self, mode: Mode, names: Sequence[str]) -> tuple[str, ...]:
        """The models of a conversation whose voter chooses.

        Raises:
            InvalidRequest: too many or too few, or the same one twice.
            UnknownModel: one is not there.
        """
        wanted = {Mode.BATTLE: 0, Mode.SIDE_BY_SIDE: 2, Mode.DIRECT: 1}[mode]
        if len(names) != wanted:
            raise InvalidRequest(
                f"{mode.value!r} takes {wanted or 'no'} model{'' if wanted == 1 else 's'}; {len(names)} were given.",
                param="models",
            )
        if len(set(names)) < len(names):
            raise InvalidRequest(
                f"{names[0]!r} was chosen for both sides. Choose two different models.", param="models"
            )
        listed = [entrant.name for entrant in self.entrants.values() if entrant.is_listed]
        for name in names:
            if name not in listed:
                raise UnknownModel(name, listed)
        return tuple(names)

    def draw(self, *, has_images: bool) -> Draw:
        """
        Raises:
            NotEnoughModels: no two models can meet.
        """
        entrants = self.entrants.values()
        among = {one.name for one in entrants if (one.can_see if has_images else one.takes_text)}
        return self._matchmaker.draw([one.contender for one in entrants], self.tally, among=among)

    def check_takes_images_late(self) -> None:
        """An image in a blind battle that was drawn without one. Whether it is taken must not tell who was drawn.

        Raises:
            NotNow: not all models here take images.
        """
        if not all(one.can_see for one in self.entrants.values()):
            raise NotNow(
                "Not every model here takes images, so an image has to be in the first question of a battle. "
                "Start a new one with it."
            )

    def writers(self, conversation: Conversation, *, needs_sight: bool) -> list[Entrant]:
        """Who answers, left first. In a battle nothing that is said here tells who they are.

        Raises:
            NotNow: one of them has left, or takes no images.
        """
        entrants = self.entrants
        is_blind = conversation.is_blind
        for name in conversation.models:
            subject = "One of the two models of this battle" if is_blind else f"The model {name!r}"
            if name not in entrants:
                raise NotNow(f"{subject} is not served at the moment. Wait a little, or start a new conversation.")
            if needs_sight and not entrants[name].can_see:
                remedy = "with the image in its first question" if is_blind else "with a model that does"
                raise NotNow(f"{subject} takes no images. Start a new conversation {remedy}.")
        return [entrants[name] for name in conversation.models]


def unknown_arena(name: str) -> NotFound:
    return NotFound(f"There is no arena {name[:80]!r}.", param="arena")
