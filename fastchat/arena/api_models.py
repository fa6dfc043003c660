"""What travels to and from the arena's API beside conversations."""

from typing import Annotated, TypeAlias

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from fastchat.arena.config import DEFAULT, ArenaConfig, Language
from fastchat.arena.records import Consent, Mode, Outcome, Part, Sampling, TextPart, Thumb
from fastchat.arena.transparency.receipts import Receipt
from fastchat.arena.views import ConversationView, View

ArenaName: TypeAlias = Annotated[str, Query(alias="arena", description="which arena")]
Reasons: TypeAlias = Annotated[tuple[Annotated[str, Field(max_length=500)], ...], Field(max_length=20)]


# Beyond any model's context: a provider that refuses a number would be told from one that takes it.
MOST_TOKENS = 100_000


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorFields(View):
    message: str
    type: str
    code: str | None
    param: str | None


class ErrorBody(View):
    error: ErrorFields


class SamplingFields(_Request):
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)


class NewConversation(_Request):
    mode: Mode
    arena: str = DEFAULT
    models: tuple[str, ...] = Field((), description="side_by_side: two; direct: one; battle: none", max_length=2)
    system: str = ""
    sampling: SamplingFields | None = None
    category: str | None = None


class Asked(_Request):
    question: str | tuple[Part, ...] = Field(description="text, or parts: text and uploaded files")
    sampling: SamplingFields | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        return (TextPart(text=self.question),) if isinstance(self.question, str) else self.question


class Renaming(_Request):
    title: str = Field(max_length=200)


class Cast(_Request):
    token: str = Field(max_length=128, description="`vote_token` of the conversation as you see it")
    outcome: Outcome
    reasons: Reasons = ()


class Rating(_Request):
    thumb: Thumb | None = Field(description="null takes it back")
    reasons: Reasons = ()


class ConsentGiven(_Request):
    arena: str = DEFAULT
    version: str = Field(max_length=64, description="of the terms that were read")
    may_publish: bool = False


class Voted(View):
    conversation: ConversationView
    receipt: Receipt = Field(description="shows that the vote is in the log")


class Shared(View):
    path: str


class QuestionView(View):
    question: tuple[Part, ...]


class FileView(View):
    part: Part = Field(description="to be sent with a question")


class ConsentView(View):
    version: str = Field(description="of the terms that hold")
    is_given: bool = Field(description="whether you have agreed to this version")
    may_publish: bool | None = None
    given_at: float | None = None
    asks_to_publish: bool = Field(description="whether you should be asked if your texts may be published")


class ArenaView(View):
    name: str
    title: str
    description: str
    modes: tuple[Mode, ...]
    categories: tuple[str, ...]
    language: Language | None
    has_questions: bool
    is_for_members: bool


def sampling_of(fields: SamplingFields | None) -> Sampling | None:
    return Sampling(fields.temperature, fields.top_p, fields.max_tokens) if fields else None


def arena_view_of(name: str, config: ArenaConfig) -> ArenaView:
    return ArenaView(
        name=name,
        title=config.title,
        description=config.description,
        modes=config.modes,
        categories=config.categories,
        language=config.language,
        has_questions=config.questions is not None,
        is_for_members=bool(config.members),
    )


def consent_view_of(consent: Consent | None, config: ArenaConfig) -> ConsentView:
    return ConsentView(
        version=config.terms_version,
        is_given=consent is not None,
        may_publish=consent.may_publish if consent else None,
        given_at=consent.given_at if consent else None,
        asks_to_publish=config.publishes,
    )
