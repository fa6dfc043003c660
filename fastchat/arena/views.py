"""What a browser may see, as it travels. Everything that could tell which model is which while a battle is blind is
left out here and nowhere else: names, errors in a server's words, times, token counts, marks, ids of the draw.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from fastchat.arena.records import Ending, Mark, Mode, Outcome, Part, Side, Thumb


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
