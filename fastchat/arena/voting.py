"""Votes: cast, counted for matchmaking, and shown to whoever watches the log."""

from collections import deque
from collections.abc import Mapping, Sequence
from secrets import token_bytes

from fastchat.access.people import Visitor
from fastchat.arena import battles, tokens
from fastchat.arena.answering import Clock
from fastchat.arena.ballots import ballot_of
from fastchat.arena.ids import new_id
from fastchat.arena.prompting import printable
from fastchat.arena.records import Conversation, Outcome, Vote
from fastchat.arena.store.store import Store
from fastchat.arena.transparency.heads import SignedTreeHead
from fastchat.arena.transparency.leaves import SALT_BYTES
from fastchat.arena.transparency.receipts import ConsistencyProof, Receipt
from fastchat.arena.venue import AnyVote, Venue

_REMEMBERED = 1000
_REASONS = 20
_REASON_CHARS = 500


class Voting:
    def __init__(self, store: Store, venues: Mapping[str, Venue], *, key: bytes, wall: Clock) -> None:
        self._store = store
        self._venues = venues
        self._key = key
        self._wall = wall
        self._newest: deque[AnyVote] = deque(maxlen=_REMEMBERED)

    async def take_up(self) -> None:
        """The votes that were cast before this process began."""
        await self._store.replay_votes(None, self._count)

    def token_of(self, conversation: Conversation) -> str | None:
        return tokens.vote_token(self._key, conversation) if battles.can_vote(conversation) else None

    async def cast(
        self,
        who: Visitor,
        venue: Venue,
        conversation: Conversation,
        token: str,
        outcome: Outcome,
        reasons: Sequence[str],
    ) -> tuple[Conversation, Receipt]:
        """
        Raises:
            NotNow, AlreadyVoted, InvalidRequest: there is nothing to vote on, or not yet, or not any more.
            PermissionDenied: the token is not that of these answers.
            RateLimited: too many votes by this voter or from this address.
        """
        now = self._wall()
        dwell_s = battles.check_may_vote(conversation, venue.config.integrity, now=now)
        tokens.check_token(self._key, conversation, token)
        venue.take_a_vote(who)
        assert conversation.battle is not None
        vote = Vote(new_id(now), conversation.battle.battle_id, outcome, now, tidy(reasons), dwell_s)
        ballot = ballot_of(conversation, vote, who.address_hash, salt=token_bytes(SALT_BYTES))
        receipt = await self._store.cast(ballot)
        self._count(ballot)
        return battles.voted(conversation, vote), receipt

    def newest(self, limit: int) -> list[AnyVote]:
        """The newest first."""
        return [*reversed(self._newest)][:limit]

    async def receipt(self, vote_id: str) -> Receipt:
        return await self._store.receipt(vote_id=vote_id)

    def head(self) -> SignedTreeHead | None:
        return self._store.head()

    async def proof(self, old_size: int) -> ConsistencyProof:
        return await self._store.continuation(old_size)

    def _count(self, vote: AnyVote) -> None:
        self._newest.append(vote)
        if vote.arena in self._venues:
            self._venues[vote.arena].count(vote)


def tidy(reasons: Sequence[str]) -> tuple[str, ...]:
    return tuple(printable(reason)[:_REASON_CHARS] for reason in reasons[:_REASONS])
