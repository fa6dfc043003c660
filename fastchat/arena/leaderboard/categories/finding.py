"""Names of categories → which votes are in them, and by what that was told."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fastchat.arena.leaderboard.board import OVERALL
from fastchat.arena.leaderboard.categories.conversations import Conversations
from fastchat.arena.leaderboard.categories.label_file import open_labels
from fastchat.arena.leaderboard.categories.labels import BY_LABELS, HARD, Labels, column_labels, file_labels
from fastchat.arena.leaderboard.categories.languages import Languages, code_of, name_of
from fastchat.arena.leaderboard.categories.rules import Rule
from fastchat.arena.leaderboard.categories.rules_file import builtin_rules
from fastchat.arena.leaderboard.votes import CATEGORY, CONV_A, CONV_B, LANGUAGE, TAG, VoteTable
from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    import polars as pl

_ALL = (OVERALL, "full")  # the second is FastChat's
_ALIASES = {
    "coding": "code",
    "exclude_refusals": "exclude_refusal",
    "exclude_shorts": "exclude_short",
    "exclude_tie": "exclude_ties",
    "hard_prompt": HARD,
    "hard_prompts": HARD,
    "hard_6": HARD,  # FastChat's
    "if": "instruction_following",
    "long_queries": "long_query",
    "maths": "math",
}
_SHOWN = 60  # names in a complaint
_MADE_BY = "make labels with: fastchat topics label"


@dataclass(frozen=True, slots=True)
class Sources:
    """What tells categories, beside the votes themselves."""

    rules: Mapping[str, Rule] = field(default_factory=dict)  # of one's own
    labels: Sequence[Path] = ()  # files of labels
    languages: Path | None = None  # file in which languages are kept that were found


@dataclass(frozen=True, slots=True, eq=False)
class Category:
    mask: "pl.Series"  # whether a vote is in it, without nulls
    how: str  # a sentence: by what it was told


def categories_of(votes: VoteTable, wanted: Sequence[str], sources: Sources = Sources()) -> Mapping[str, "pl.Series"]:
    """Which votes are in each; a vote may be in several.

    Raises:
        SetupError: as `members_of`.
    """
    return {name: category.mask for name, category in members_of(votes, wanted, sources).items()}


def members_of(votes: VoteTable, wanted: Sequence[str], sources: Sources = Sources()) -> Mapping[str, Category]:
    """A rule of one's own goes before a value of the table's column, that before labels, those before our rules.

    Raises:
        SetupError: there is no such category, or these votes do not have what it goes by.
    """
    with ExitStack() as stack:
        found = stack.enter_context(open_labels(sources.languages)) if sources.languages else None
        finder = _Finder(votes, sources, Languages(found))
        return {name: finder.find(name) for name in wanted}


def available(votes: VoteTable | None = None, sources: Sources = Sources()) -> Mapping[str, str]:
    """Names with a sentence each; with votes, also those that only this table has. Whether it can tell them is seen
    when they are asked for."""
    names = {OVERALL: "all votes"}
    if votes is not None:
        names |= dict.fromkeys(_values(votes), f"votes whose column {CATEGORY!r} says so")
        names |= dict.fromkeys(column_labels(votes).names, f"votes whose column {TAG!r} says so")
    names |= {name: rule.about or rule.title or "a rule of one's own" for name, rule in sources.rules.items()}
    names |= {HARD: "prompts that meet six of seven criteria; by labels only"}
    names |= {name: rule.about for name, rule in builtin_rules().items()}
    return names | {"english, german, …": "the first question is in this language; its English name, or its code"}


class _Finder:
    def __init__(self, votes: VoteTable, sources: Sources, languages: Languages) -> None:
        self._votes = votes
        self._sources = sources
        self._languages = languages
        self._said = Conversations(votes)
        self._ways: Sequence[Callable[[str, str], Category | None]] = (
            self._everything,
            self._own_rule,
            self._column,
            self._labelled,
            self._our_rule,
            self._language,
        )

    def find(self, name: str) -> Category:
        plain = re.sub(r"[\s-]+", "_", name.strip().lower())
        plain = _ALIASES.get(plain, plain)
        try:
            for way in self._ways:
                if (category := way(name, plain)) is not None:
                    return category
        except SetupError as error:
            raise SetupError(f"The category {name!r} cannot be told. {error.message}") from None
        known = list(available(self._votes, self._sources))
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        raise SetupError(f"There is no category {name!r}. There are: {', '.join(known[:_SHOWN])}{more}.")

    def _everything(self, name: str, plain: str) -> Category | None:
        import polars as pl

        if plain not in _ALL:
            return None
        return Category(pl.repeat(True, len(self._votes), dtype=pl.Boolean, eager=True), "all votes")

    def _own_rule(self, name: str, plain: str) -> Category | None:
        rule = self._sources.rules.get(name)
        if rule is None:
            return None
        return Category(rule.members(self._said, self._languages), f"by a rule of one's own. {rule.about}".strip())

    def _column(self, name: str, plain: str) -> Category | None:
        import polars as pl

        if name not in _values(self._votes):
            return None
        values = self._votes.frame[CATEGORY]
        return Category((values.cast(pl.String) == name).fill_null(False), f"as the column {CATEGORY!r} says")

    def _labelled(self, name: str, plain: str) -> Category | None:
        for labels, what in self._labels():
            for known in (name, plain):
                if known in labels.names:
                    missing = labels.missing(known)
                    left_out = f"; {missing} votes have no label, so are not in it" if missing else ""
                    return Category(labels.members(known), f"by labels, of {what}{left_out}")
        if plain == HARD:
            raise SetupError(f"It goes by labels, and these votes have none: {_MADE_BY}")
        return None

    def _our_rule(self, name: str, plain: str) -> Category | None:
        rule = builtin_rules().get(plain)
        if rule is None:
            return None
        better = f" (there could be labels: {_MADE_BY})" if plain in BY_LABELS else ""
        return Category(rule.members(self._said, self._languages), f"by a rule: {rule.about}{better}")

    def _language(self, name: str, plain: str) -> Category | None:
        code = code_of(name)
        if code is None:
            return None
        mask = (self._languages.of(self._said) == code).fill_null(False)
        how = f"as the column {LANGUAGE!r} says" if self._votes.has(LANGUAGE) else "found with lingua"
        return Category(mask, f"the first question is in {name_of(code)}, {how}")

    def _labels(self) -> Iterator[tuple[Labels, str]]:
        if self._sources.labels:
            yield self._file_labels, ", ".join(file.name for file in self._sources.labels)
        if self._votes.has(TAG):
            yield self._column_labels, f"the column {TAG!r}"

    @cached_property
    def _file_labels(self) -> Labels:
        if not self._votes.has(CONV_A) and not self._votes.has(CONV_B):
            return Labels([])
        return file_labels(self._said, self._sources.labels)

    @cached_property
    def _column_labels(self) -> Labels:
        return column_labels(self._votes)


def _values(votes: VoteTable) -> list[str]:
    import polars as pl

    if not votes.has(CATEGORY):
        return []
    return votes.frame[CATEGORY].cast(pl.String).unique().drop_nulls().sort().to_list()
