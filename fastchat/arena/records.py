"""What the arena knows, as values: its rules, its store, its API and its pages share them, and nothing here acts.

A conversation has turns; a turn has a question and one answer a side. Battles and side-by-sides have two sides, a
direct chat has the left one only. Names, errors and times stand here as they are; what of them a browser may see is
decided in `views` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field


class Mode(StrEnum):
    BATTLE = "battle"  # two models, drawn, their names hidden until the vote
    SIDE_BY_SIDE = "side_by_side"  # two models, chosen
    DIRECT = "direct"  # one model, chosen


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"


class Outcome(StrEnum):
    """FastChat's names, which stand in its logs."""

    LEFT = "leftvote"
    RIGHT = "rightvote"
    TIE = "tievote"
    BOTH_BAD = "bothbad_vote"


class Thumb(StrEnum):
    UP = "upvote"
    DOWN = "downvote"
    FLAG = "flag"


class Ending(StrEnum):
    COMPLETE = "complete"
    CUT_OFF = "cut_off"  # at the limit of tokens
    STOPPED = "stopped"  # by its reader
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # the server ended while it was written

    @property
    def is_whole(self) -> bool:
        """Can be voted on: nothing of what the model had to say is missing, but what its limit cut."""
        return self in (Ending.COMPLETE, Ending.CUT_OFF)


class Mark(StrEnum):
    """Why a battle may count less, or not at all. Marks exclude nothing; rankings read them."""

    NAMES_ITSELF = "names_itself"  # an answer says which model wrote it
    ASKS_FOR_IDENTITY = "asks_for_identity"
    FREQUENT_PROMPT = "frequent_prompt"
    REPEATED_PROMPT = "repeated_prompt"  # by the same voter
    FLAGGED_PROMPT = "flagged_prompt"
    FLAGGED_ANSWER = "flagged_answer"
    UNMODERATED = "unmoderated"  # the moderator failed
    REGENERATED = "regenerated"  # an answer that was voted on was not the first
    EDITED = "edited"  # questions were taken back before the vote, after their answers had been seen
    UNFINISHED = "unfinished"  # an earlier turn has an answer that failed or was stopped
    PRESET_PROMPT = "preset_prompt"  # drawn from the arena's own questions


class TextPart(BaseModel):
    model_config = ConfigDict(frozen=True)

    type: Literal["text"] = "text"
    text: str


class FilePart(BaseModel):
    """Something uploaded; its bytes are in the store under `file_id`."""

    model_config = ConfigDict(frozen=True)

    type: Literal["image", "audio", "video", "file"]
    file_id: str
    media_type: str
    name: str = ""
    text: str | None = None  # what was read out of it: of a PDF, its words


Part: TypeAlias = Annotated[TextPart | FilePart, Field(discriminator="type")]


def text_of(parts: tuple[Part, ...]) -> str:
    """The words of a message, those of its files included."""
    return "\n\n".join(part.text for part in parts if part.text)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are drawn. What is None is left to the model's server."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's answer to one turn; while it is written, `ending` is None and `text` is what has come so far."""

    message_id: str
    side: Side
    model: str
    text: str = ""
    reasoning: str = ""
    ending: Ending | None = None
    error: str = ""  # as the operator reads it; may name the model
    attempt: int = 1
    started_at: float = 0.0
    first_token_s: float | None = None  # from the question on
    duration_s: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    thumb: Thumb | None = None

    @property
    def is_whole(self) -> bool:
        return self.ending is not None and self.ending.is_whole

    @property
    def tokens_per_s(self) -> float | None:
        """How fast it was written once it had begun; the first token belongs to the time before."""
        if not self.completion_tokens or self.first_token_s is None or self.duration_s is None:
            return None
        writing_s = self.duration_s - self.first_token_s
        return (self.completion_tokens - 1) / writing_s if self.completion_tokens > 1 and writing_s > 0 else None


@dataclass(frozen=True, slots=True)
class Turn:
    message_id: str
    number: int  # from 0
    question: tuple[Part, ...]
    asked_at: float
    answers: tuple[Answer, ...] = ()  # the newest attempt of each side, left first
    is_after_vote: bool = False  # names were known, so it counts for nothing

    @property
    def is_being_answered(self) -> bool:
        return any(answer.ending is None for answer in self.answers)


@dataclass(frozen=True, slots=True)
class Battle:
    """A draw: who was set against whom, and how likely that was at the time."""

    battle_id: str
    model_a: str  # left
    model_b: str  # right
    probability: float  # of this unordered pair; its sides are a fair coin besides
    policy: str
    drawn_at: float


@dataclass(frozen=True, slots=True)
class Vote:
    vote_id: str
    battle_id: str
    outcome: Outcome
    cast_at: float
    reasons: tuple[str, ...] = ()
    dwell_s: float | None = None  # from the end of the slower answer to the vote


@dataclass(frozen=True, slots=True)
class Conversation:
    conversation_id: str
    arena: str
    mode: Mode
    voter_id: str | None  # None: erased
    models: tuple[str, ...]  # left, right; empty until a battle's first question
    created_at: float
    updated_at: float
    title: str = ""
    system: str = ""
    sampling: Sampling = Sampling()
    turns: tuple[Turn, ...] = ()
    battle: Battle | None = None  # also of a side-by-side: there its probability is 1 and its policy "chosen"
    vote: Vote | None = None
    marks: frozenset[Mark] = frozenset()
    category: str | None = None
    share_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON of importers, kept for the way back

    @property
    def sides(self) -> tuple[Side, ...]:
        return (Side.LEFT,) if self.mode is Mode.DIRECT else (Side.LEFT, Side.RIGHT)

    @property
    def is_blind(self) -> bool:
        """Names are hidden as long as this holds."""
        return self.mode is Mode.BATTLE and self.vote is None

    @property
    def has_images(self) -> bool:
        return any(part.type == "image" for turn in self.turns for part in turn.question)


@dataclass(frozen=True, slots=True)
class Summary:
    """A conversation in a list."""

    conversation_id: str
    mode: Mode
    title: str
    updated_at: float
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    version: str
    given_at: float
    may_publish: bool = True  # texts may be part of a public release
