r"""Categories by rules, ours (`builtin.yaml`) and an operator's own, which are written alike:

    categories:
      contracts:
        title: Contracts
        about: Questions about contracts, asked in German or English.
        prompt: {any: ['\bcontract', '\bVertrag']}
        languages: [en, de]
      long-or-late:
        match: any
        min_turns: 5
        min_prompt_tokens: 500
      first-turns:
        where: {turn: 1}

A vote is in a category when all conditions hold, with `match: any` when one does. Expressions are those of Rust's
regex, which takes linear time whatever they are; upper and lower case are the same, `^` and `$` are ends of lines. A
vote of which a condition cannot be told, since its text is not kept, does not meet it.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from fastchat.arena.leaderboard.categories.conversations import Conversations
from fastchat.arena.leaderboard.categories.languages import Languages, code_of
from fastchat.arena.leaderboard.votes import MODEL_A, MODEL_B, OUTCOME
from fastchat.core.errors import SetupError
from fastchat.ranking.comparisons import Outcome

if TYPE_CHECKING:
    import polars as pl

_FLAGS = "(?im)"
_WORD_END = re.compile(r"(?<!\\)((?:\\\\)*)\\b")  # \b, not the b after a backslash that is meant as one


def _is_pattern(pattern: str) -> str:
    import polars as pl

    try:
        matches_nothing = pl.Series([""]).str.contains(_FLAGS + pattern).item()
    except pl.exceptions.ComputeError as error:
        raise ValueError(f"{pattern!r} is no regular expression: {str(error).splitlines()[-1]}") from None
    if matches_nothing:
        raise ValueError(f"{pattern!r} matches the empty text, so it would match everything")
    return pattern


def _is_language(name: str) -> str:
    code = code_of(name)
    if code is None:
        raise ValueError(f"{name!r} is no language; give its English name or its code, as german or de")
    return code


Pattern: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_is_pattern)]
LanguageCode: TypeAlias = Annotated[str, AfterValidator(_is_language)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Words(_Section):
    """What stands in a text."""

    any: tuple[Pattern, ...] = Field((), description="one of these matches")
    all: tuple[Pattern, ...] = Field((), description="each of these matches")
    none: tuple[Pattern, ...] = Field((), description="none of these matches")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.any or self.all or self.none):
            raise ValueError("give expressions as any: […], all: […] or none: […]")
        return self

    def matches(self, texts: "pl.Series") -> "pl.Series":
        """A text that is null matches nothing, not even `none`."""
        found = texts.is_not_null()
        if self.any:
            found &= _contains(texts, self.any)
        for pattern in self.all:
            found &= _contains(texts, [pattern])
        if self.none:
            found &= ~_contains(texts, self.none)
        return found


class Rule(_Section):
    """One category. What is not said is no condition."""

    title: str = Field("", max_length=80, description="how pages call it; its name if empty")
    about: str = Field("", description="a sentence for readers of the board")
    match: Literal["all", "any"] = Field("all", description="whether every condition has to hold, or one")
    prompt: Words | None = Field(None, description="what the voter asked, all turns")
    answers: Words | None = Field(None, description="what the two models answered, taken together")
    languages: tuple[LanguageCode, ...] = Field((), description="of the first question")
    models: tuple[str, ...] = Field((), description="names or patterns; one of the two models is among them")
    outcomes: tuple[Literal["left", "right", "tie", "both_bad"], ...] = Field((), description="how it was voted")
    min_turns: PositiveInt | None = Field(None, description="questions in the conversation")
    max_turns: PositiveInt | None = Field(None, description="likewise")
    min_length: PositiveInt | None = Field(None, description="characters of all that was asked")
    max_length: NonNegativeInt | None = Field(None, description="likewise")
    min_prompt_tokens: PositiveInt | None = Field(None, description="tokens of all that was asked, estimated")
    max_prompt_tokens: NonNegativeInt | None = Field(None, description="likewise")
    min_conversation_tokens: PositiveInt | None = Field(None, description="of question and answers of the longer side")
    where: dict[str, str | int | float | bool] = Field({}, description="column of the table → the value it has")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set - {"title", "about", "match"}:
            raise ValueError("it has no condition, so it would hold every vote; say at least one, as min_turns: 2")
        return self

    def members(self, said: Conversations, languages: Languages) -> "pl.Series":
        """Which votes are in it.

        Raises:
            SetupError: the votes do not have what it goes by.
        """
        conditions = [condition.fill_null(False) for condition in self._conditions(said, languages)]
        return reduce(and_ if self.match == "all" else or_, conditions)

    def _conditions(self, said: Conversations, languages: Languages) -> Iterator["pl.Series"]:
        import polars as pl

        frame = said.votes.frame
        if self.prompt is not None:
            yield self.prompt.matches(said.prompt)
        if self.answers is not None:
            yield self.answers.matches(said.answers)
        if self.languages:
            yield languages.of(said).is_in(self.languages)
        if self.models:
            names = [name for name in said.votes.models if any(fnmatchcase(name, one) for one in self.models)]
            yield frame.select(pl.any_horizontal(pl.col(MODEL_A, MODEL_B).cast(pl.String).is_in(names))).to_series()
        if self.outcomes:
            yield frame[OUTCOME].is_in([Outcome[name.upper()].value for name in self.outcomes])
        for column, value in self.where.items():
            yield _equals(said, column, value)
        yield from self._sizes(said)

    def _sizes(self, said: Conversations) -> Iterator["pl.Series"]:
        if self.min_turns is not None:
            yield said.turns >= self.min_turns
        if self.max_turns is not None:
            yield said.turns <= self.max_turns
        if self.min_length is not None:
            yield said.prompt.str.len_chars() >= self.min_length
        if self.max_length is not None:
            yield said.prompt.str.len_chars() <= self.max_length
        if self.min_prompt_tokens is not None:
            yield said.prompt_tokens >= self.min_prompt_tokens
        if self.max_prompt_tokens is not None:
            yield said.prompt_tokens <= self.max_prompt_tokens
        if self.min_conversation_tokens is not None:
            yield said.longest_tokens >= self.min_conversation_tokens


def _equals(said: Conversations, column: str, value: str | int | float | bool) -> "pl.Series":
    import polars as pl

    frame = said.votes.frame
    if column not in frame.columns:
        raise SetupError(f"It goes by the column {column!r}; the votes have: {', '.join(sorted(frame.columns))}.")
    if frame.schema[column].is_nested():
        raise SetupError(f"The column {column!r} holds no plain values, so nothing can be equal to it.")
    if frame.schema[column].is_numeric() and isinstance(value, int | float):
        return frame[column] == value
    return frame[column].cast(pl.String) == (str(value).lower() if isinstance(value, bool) else str(value))


def _contains(texts: "pl.Series", patterns: Sequence[str]) -> "pl.Series":
    """Any of them. Those in ASCII apart and with ends of words in ASCII: only so texts with other letters are fast."""
    import polars as pl

    plain = [_WORD_END.sub(r"\1(?-u:\\b)", pattern) for pattern in patterns if pattern.isascii()]
    others = [pattern for pattern in patterns if not pattern.isascii()]
    found = pl.repeat(False, len(texts), dtype=pl.Boolean, eager=True)
    for together in filter(None, (plain, others)):
        found |= texts.str.contains(_FLAGS + "|".join(f"(?:{pattern})" for pattern in together)).fill_null(False)
    return found
