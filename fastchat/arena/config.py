"""Arenas as their operator describes them: `arenas.yaml`, or `arenas:` in fastchat.yaml.

    legal:
      title: Legal questions
      models: ["qwen*", "our-legal-7b"]
      questions: questions.jsonl
      members: ["ada", "*@example.com"]
      retention_days: 90
      look: {name: Example Legal, accent: "#7c2d12"}

An installation always has the arena `default`, which may be described there too.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from fastchat.arena.records import Mode
from fastchat.core.places import LocalFile

DEFAULT = "default"

Slug: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Color: TypeAlias = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Weight: TypeAlias = Annotated[NonNegativeFloat, Field(allow_inf_nan=False)]
Factor: TypeAlias = Annotated[PositiveFloat, Field(allow_inf_nan=False)]
Language: TypeAlias = Literal["en", "zh-CN", "de", "es", "fr", "ja", "ko", "pt-BR"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Look(_Section):
    """How an arena's pages differ from ours."""

    name: str | None = Field(None, max_length=60, description="shown instead of FastChat")
    logo: LocalFile | None = Field(None, description="an SVG, PNG or WebP file")
    accent: Color | None = Field(None, description="the one colour, on light ground")
    accent_dark: Color | None = Field(None, description="the same on dark ground")


class Variant(_Section):
    """A model of the fleet under a system message or sampling of its own: a contender like any other."""

    model: str = Field(min_length=1, description="the model behind it, by the name it is served under")
    system: str = Field("", description="its system message; an arena's own comes before it")
    temperature: float | None = Field(None, ge=0, le=2, description="how freely tokens are drawn; the reader's choice")
    top_p: float | None = Field(None, ge=0, le=1, description="share of the likeliest tokens; the reader's choice")
    max_tokens: PositiveInt | None = Field(None, description="longest answer; the reader's choice")


class Boost(_Section):
    """Draws a new model more often."""

    factor: Factor = Field(5.0, description="factor on its weight")
    until_votes: PositiveInt = Field(3000, description="until it has that many votes")


class Matchmaking(_Section):
    policy: Literal["weighted", "active"] = Field(
        "weighted", description="'active' prefers the pair whose vote teaches most"
    )
    weights: dict[str, Weight] = Field({}, description="model → weight; 1 where nothing is said")
    targets: dict[str, tuple[str, ...]] = Field({}, description="model → opponents that get half of its battles")
    strict_targets: dict[str, tuple[str, ...]] = Field({}, description="model → the only opponents it meets")
    outages: tuple[str, ...] = Field((), description="models that are not drawn at the moment")
    boosts: dict[str, Boost] = Field({}, description="model → how much more often it is drawn while it is new")
    anony_only: tuple[str, ...] = Field((), description="models that are drawn but not listed")


def _with_its_file(moderator: str, info: ValidationInfo) -> str:
    name, colon, rest = moderator.partition(":")
    if name != "words" or not info.context:
        return moderator
    file, comma, settings = rest.partition(",")
    found = info.context["folder"] / Path(file).expanduser()
    if not found.is_file():
        raise ValueError(f"there is no file {found}")
    return f"{name}{colon}{found}{comma}{settings}"


class Integrity(_Section):
    turns_per_minute: PositiveInt | None = Field(30, description="questions a voter may ask in a minute")
    votes_per_day: PositiveInt | None = Field(500, description="votes a voter may cast in a day")
    dwell_s: NonNegativeFloat = Field(1.0, description="shortest time between the answers' end and a vote")
    first_token_wait_s: NonNegativeFloat = Field(10.0, description="how long the faster side waits for the slower")
    question_chars: PositiveInt = Field(100_000, description="longest question")
    turns: PositiveInt = Field(50, description="most turns of a conversation")
    moderators: tuple[str, ...] = Field((), description="who reads along: words:FILE, openai[:URL], classifier:MODEL")

    @field_validator("moderators")
    @classmethod
    def _lists_are_there(cls, moderators: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Word lists are named from the configuration's folder, as other files are."""
        return tuple(_with_its_file(one, info) for one in moderators)

    on_flag: Literal["mark", "refuse"] = Field("mark", description="what becomes of a flagged question")


class ArenaConfig(_Section):
    """One arena."""

    title: str = Field("Arena", max_length=80, description="shown in lists and in the browser's tab")
    description: str = Field("", description="shown where nothing has been asked yet; Markdown")
    modes: tuple[Mode, ...] = Field(
        (Mode.BATTLE, Mode.SIDE_BY_SIDE, Mode.DIRECT), min_length=1, description="which of its pages there are"
    )
    models: tuple[str, ...] = Field((), description="names or patterns of the models here; all if empty")
    variants: dict[str, Variant] = Field({}, description="further contenders: name → a model with a system message")
    matchmaking: Matchmaking = Field(Matchmaking(), description="who is drawn for battles")
    questions: LocalFile | None = Field(
        None, description="questions to draw from: JSON lines with 'text', maybe 'category'"
    )
    categories: tuple[str, ...] = Field((), description="what a conversation can be filed under")
    system: str = Field("", description="system message of every conversation")
    members: tuple[str, ...] = Field((), description="logins or patterns of who may come in; everybody if empty")
    language: Language | None = Field(None, description="language of the pages; the browser's if unset")
    retention_days: PositiveInt | None = Field(None, description="after so many days texts and voters are erased")
    is_listed: bool = Field(True, description="whether others than its members learn that it exists")
    embed_origins: tuple[str, ...] = Field((), description="origins of pages that may show this arena in a frame")
    look: Look = Field(Look(), description="its name, logo and colour")
    integrity: Integrity = Field(Integrity(), description="limits, and who reads along")
    terms: LocalFile | None = Field(None, description="terms of use, Markdown; ours if unset")
    terms_version: str = Field("1", max_length=64, description="when it changes, everybody is asked again")
    publishes: bool = Field(False, description="whether a public release is meant; then people are asked")
    history_days: NonNegativeInt | None = Field(
        None, description="how far back readers see their history; all if unset"
    )


class ArenaFile(_Section):
    arenas: dict[Slug, ArenaConfig] = Field({}, description="arenas by name")
