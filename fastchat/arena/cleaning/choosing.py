"""Which rules to apply, as an operator says it; stands in the board's parameters."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from fastchat.arena.cleaning import pairings, texts, voters
from fastchat.arena.cleaning.rules import Rule, required
from fastchat.arena.records import Mark
from fastchat.core.errors import SetupError


class CleaningOptions(BaseModel):
    """Whatever is not the default was asked for: if it cannot be done, that is an error and no remark."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anonymous_only: bool = False
    identity: Literal["self", "words", "off"] = "self"  # the model says who it is; FastChat's words; not at all
    without_marks: tuple[Mark, ...] = ()  # besides that of an answer that names its model
    without_broken: bool = True  # answers that are errors or not finished
    without_refusals: bool = False
    least_characters: int | None = Field(None, ge=1)  # of all questions
    languages: tuple[str, ...] = ()  # names or codes; others are left out
    excluded_models: tuple[str, ...] = ()  # names or patterns
    banned_voters: tuple[str, ...] = Field((), exclude=True)  # nobody's business
    least_dwell_s: float | None = Field(None, gt=0)
    daily_votes: int | None = Field(None, ge=1)
    duplicates_quantile: float | None = Field(None, ge=0, le=1)
    seed: int = texts.SEED


def rules_for(options: CleaningOptions) -> list[Rule]:
    return [*_standard(options), *map(required, _asked_for(options))]


def _standard(options: CleaningOptions) -> Iterator[Rule]:
    """What no ranking wants. Which of them the votes allow shows in the waterfall."""
    yield pairings.repeated_votes()
    yield pairings.missing_names()
    yield pairings.self_play()
    if options.without_broken:
        yield texts.missing_answers()
        yield texts.unfinished_answers()
        yield texts.error_banners()
    if options.identity != "off":
        yield pairings.marked(Mark.NAMES_ITSELF)
    if options.identity == "self":
        yield texts.names_its_model()


def _asked_for(options: CleaningOptions) -> Iterator[Rule]:
    if options.identity == "words":
        yield texts.identity_words()
    if options.anonymous_only:
        yield pairings.anonymous_only()
    for mark in options.without_marks:
        yield pairings.marked(mark)
    if options.without_refusals:
        yield texts.refused()
    if options.least_characters is not None:
        yield texts.too_short(options.least_characters)
    if options.languages:
        yield texts.other_languages(options.languages)
    if options.excluded_models:
        yield pairings.excluded_models(options.excluded_models)
    if options.banned_voters:
        yield voters.banned_voters(options.banned_voters)
    if options.least_dwell_s is not None:
        yield voters.hasty(options.least_dwell_s)
    if options.daily_votes is not None:
        yield voters.daily_cap(options.daily_votes)
    if options.duplicates_quantile is not None:
        yield texts.duplicate_prompts(options.duplicates_quantile, options.seed)


def read_banned(file: Path) -> tuple[str, ...]:
    """A JSON list of addresses or voters, as FastChat's; or one a line.

    Raises:
        SetupError: it cannot be read, or is neither.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if not text.lstrip().startswith(("[", "{")):
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    try:
        names = json.loads(text)
    except ValueError as error:
        raise SetupError(f"{file} is not JSON: {error}.") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SetupError(f'{file} has to be a list of addresses, as ["198.51.100.7"], or one a line.')
    return tuple(names)
