"""What a browser may see, as it travels. Everything that could tell which model is which while a battle is blind is
left out here and nowhere else: names, errors in a server's words, times, token counts, marks, ids of the draw.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from fastchat.arena.battles import can_vote
from fastchat.arena.failures import words_for
from fastchat.arena.records import (
    Answer,
    Conversation,
    Ending,
    Mark,
    Mode,
    Outcome,
    Part,
    Sampling,
    Side,
    Summary,
    Thumb,
    Turn,
)


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class AnswerView(View):
    message_id: str
    side: Side
    text: str = ""
    reasoning: str = ""
    ending: Ending | None = Field(None, description="null while it is written")
    failure: str = Field("", description="what went wrong, in words that name nobody while a battle is blind")
    thumb: Thumb | None = None
    model: str | None = Field(None, description="null while a battle is blind, as are the following")
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    completion_tokens: int | None = None


class TurnView(View):
    message_id: str
    question: tuple[Part, ...]
    answers: tuple[AnswerView, ...]
    is_after_vote: bool = False


class VoteView(View):
    vote_id: str
    outcome: Outcome
    cast_at: float


class ConversationView(View):
    conversation_id: str
    arena: str
    mode: Mode
    title: str
    is_blind: bool
    models: tuple[str | None, ...] = Field(description="left, right; null while a battle is blind")
    turns: tuple[TurnView, ...]
    is_being_answered: bool
    can_vote: bool
    vote_token: str | None = Field(None, description="shows that this voter saw these answers; good for one vote")
    vote: VoteView | None = None
    share_path: str | None = Field(None, description="of the read-only page, where there is one")
    created_at: float
    updated_at: float
    marks: tuple[Mark, ...] = ()
    system: str = Field("", description="the voter's own system message; not on a shared page")
    sampling: Sampling = Field(Sampling(), description="what the voter set for the last turn")


class SummaryView(View):
    conversation_id: str
    mode: Mode
    title: str
    updated_at: float
    outcome: Outcome | None = None


class ModelView(View):
    name: str
    can_see: bool = Field(description="whether it takes images")


class DeltaEvent(View):
    """More of the answers, of both sides together, so that their order tells nothing."""

    type: Literal["delta"] = "delta"
    text: dict[Side, str] = {}
    reasoning: dict[Side, str] = {}


class StateEvent(View):
    """The conversation as it stands: the first event, after every change that is no delta, and the last."""

    type: Literal["state"] = "state"
    conversation: ConversationView


Event: TypeAlias = Annotated[StateEvent | DeltaEvent, Field(discriminator="type")]


def view_of(conversation: Conversation, *, vote_token: str | None = None) -> ConversationView:
    """As its voter may see it; `vote_token` is theirs, if there is something to vote on."""
    return _view(conversation, conversation.is_blind, vote_token)


def named_view_of(conversation: Conversation) -> ConversationView:
    """As an admin sees it, names and marks also of a blind battle; without anything to do."""
    return _view(conversation, False, None).model_copy(update={"can_vote": False})


def _view(conversation: Conversation, is_blind: bool, vote_token: str | None) -> ConversationView:
    vote = conversation.vote
    return ConversationView(
        conversation_id=conversation.conversation_id,
        arena=conversation.arena,
        mode=conversation.mode,
        title=conversation.title,
        is_blind=is_blind,
        models=(None,) * len(conversation.sides) if is_blind else conversation.models,
        turns=tuple(_turn_view(turn, is_blind) for turn in conversation.turns),
        is_being_answered=bool(conversation.turns) and conversation.turns[-1].is_being_answered,
        can_vote=can_vote(conversation),
        vote_token=vote_token,
        vote=VoteView(vote_id=vote.vote_id, outcome=vote.outcome, cast_at=vote.cast_at) if vote else None,
        share_path=share_path(conversation.share_id) if conversation.share_id else None,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        marks=() if is_blind else tuple(sorted(conversation.marks)),
        system=conversation.system,
        sampling=conversation.sampling,
    )


def shared_view_of(conversation: Conversation) -> ConversationView:
    """As everybody with the link may see it: nothing to do, and nothing of whoever asked but their words."""
    seen = view_of(conversation)
    turns = tuple(turn.model_copy(update={"answers": tuple(map(_unrated, turn.answers))}) for turn in seen.turns)
    return seen.model_copy(update={"turns": turns, "can_vote": False, "marks": (), "system": ""})


def _unrated(answer: AnswerView) -> AnswerView:
    return answer.model_copy(update={"thumb": None})


def share_path(share_id: str) -> str:
    return f"/s/{share_id}"


def summary_view_of(summary: Summary) -> SummaryView:
    return SummaryView(
        conversation_id=summary.conversation_id,
        mode=summary.mode,
        title=summary.title,
        updated_at=summary.updated_at,
        outcome=summary.outcome,
    )


def _turn_view(turn: Turn, is_blind: bool) -> TurnView:
    # Who of the two was done first, or failed at once, is told when both are done.
    hides_endings = is_blind and turn.is_being_answered
    return TurnView(
        message_id=turn.message_id,
        question=turn.question,
        answers=tuple(_answer_view(answer, is_blind, hides_endings) for answer in turn.answers),
        is_after_vote=turn.is_after_vote,
    )


def _answer_view(answer: Answer, is_blind: bool, hides_ending: bool) -> AnswerView:
    anybody = AnswerView(
        message_id=answer.message_id,
        side=answer.side,
        text=answer.text,
        reasoning=answer.reasoning,
        ending=None if hides_ending else answer.ending,
        failure="" if hides_ending else words_for(answer.error, is_blind=is_blind),
        thumb=answer.thumb,
    )
    if is_blind:
        return anybody
    measured = {
        "model": answer.model,
        "first_token_s": answer.first_token_s,
        "tokens_per_s": answer.tokens_per_s,
        "completion_tokens": answer.completion_tokens,
    }
    return anybody.model_copy(update=measured)
