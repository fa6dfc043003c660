"""Rules that read what was asked and answered. Votes whose conversation is not kept stay."""

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import TYPE_CHECKING

from fastchat.arena.cleaning.naming import name_themselves
from fastchat.arena.cleaning.rules import Rule
from fastchat.arena.duplicates import LONGEST_PROMPT, QUANTILE, deduplicate, normalise
from fastchat.arena.leaderboard.categories.conversations import Conversations
from fastchat.arena.leaderboard.categories.languages import Languages, code_of
from fastchat.arena.leaderboard.categories.rules_file import builtin_rules
from fastchat.arena.leaderboard.votes import CONV_A, CONV_B, MARKS, VoteTable
from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    import polars as pl

SEED = 42  # FastChat's
_TALKS = (CONV_A, CONV_B)
_NOT_REFUSED = "exclude_refusal"


@cache
def words(kind: str) -> tuple[str, ...]:
    """Of `words.toml`; read once, never changed."""
    return tuple(tomllib.loads((files(__package__) / "words.toml").read_text("utf-8"))[kind])


def names_its_model() -> Rule:
    """Where our arena has looked already, its mark says the same, and the text is not searched again."""

    def drops(table: VoteTable) -> "pl.Series":
        import polars as pl

        found = pl.repeat(False, len(table), eager=True)
        for side in _TALKS:
            answers = _said(side, "assistant")
            if table.has(MARKS):
                answers = pl.when(pl.col(MARKS).is_null()).then(answers)
            found |= name_themselves(table.frame.select(answers).to_series(), table.models)
        return found

    return Rule("names itself", "an answer says which model wrote it", drops, needs=_TALKS)


def identity_words() -> Rule:
    """FastChat's: one of its words anywhere in questions and answers, also as a part of another word."""
    why = "one of FastChat's identity words stands in the conversation"
    return Rule("identity words", why, lambda table: _contains(_everything(table), words("identity")), needs=_TALKS)


def error_banners() -> Rule:
    why = "an answer is an error message"
    return Rule("errors", why, lambda table: _contains(Conversations(table).answers, words("errors")), needs=_TALKS)


def unfinished_answers() -> Rule:
    why = "an answer was still being written"
    return Rule("unfinished", why, lambda table: _contains(Conversations(table).answers, words("unfinished")), _TALKS)


def missing_answers() -> Rule:
    """Or questions: FastChat's logs have nothing there when a page was left early."""

    def drops(table: VoteTable) -> "pl.Series":
        import polars as pl

        content = pl.element().struct.field("content")
        is_empty = content.is_null() | (content.str.strip_chars() == "")
        sides = [pl.col(side) for side in _TALKS]
        lacking = [side.list.eval(is_empty).list.any() | (_last_role(side) != "assistant") for side in sides]
        return table.frame.select(pl.any_horizontal(lacking)).to_series()

    return Rule("missing answers", "an answer is missing or empty", drops, needs=_TALKS)


def _last_role(side: "pl.Expr") -> "pl.Expr":
    """A conversation in which nothing was said has one that is none."""
    import polars as pl

    last = side.list.last().struct.field("role")
    return pl.when(side.list.len() == 0).then(pl.lit("nobody")).otherwise(last)


def refused() -> Rule:
    """As the category without refusals tells them."""

    def drops(table: VoteTable) -> "pl.Series":
        said = Conversations(table)
        return said.answers.is_not_null() & ~builtin_rules()[_NOT_REFUSED].members(said, Languages())

    return Rule("refused", "an answer refuses", drops, needs=_TALKS)


def other_languages(wanted: Sequence[str]) -> Rule:
    """By the table's languages, else by those found in the first question; what is of no language is left out, too.

    Raises:
        SetupError: one of the names is no language.
    """
    codes = {name: code_of(name) for name in wanted}
    if unknown := [name for name, code in codes.items() if code is None]:
        raise SetupError(f"{unknown[0]!r} is no language; give its English name or its code, as german or de.")

    def drops(table: VoteTable) -> "pl.Series":
        return ~Languages().of(Conversations(table)).is_in(list(codes.values())).fill_null(False)

    return Rule("other languages", f"the question is not in {' or '.join(wanted)}", drops)


def too_short(characters: int) -> Rule:
    """All questions of the conversation taken together."""

    def drops(table: VoteTable) -> "pl.Series":
        return Conversations(table).prompt.str.strip_chars().str.len_chars() < characters

    return Rule("too short", f"the question has less than {characters} characters", drops, needs=_TALKS)


def duplicate_prompts(quantile: float = QUANTILE, seed: int = SEED) -> Rule:
    """FastChat's cut: of a prompt that comes more often than the quantile of all prompts' counts, only as many votes as
    that count are drawn and stay. Prompts are the same without regard to case, blanks and punctuation around words."""

    def drops(table: VoteTable) -> "pl.Series":
        import polars as pl

        prompts = Conversations(table).prompt
        known = [row for row, prompt in enumerate(prompts) if prompt is not None]
        tags = deduplicate([normalise(prompts[row][:LONGEST_PROMPT]) for row in known], Random(seed), quantile)
        surplus = [row for row, tag in zip(known, tags, strict=True) if not tag.sampled]
        return pl.repeat(False, len(table), eager=True).scatter(surplus, True)

    return Rule("duplicates", f"the prompt comes too often (quantile {quantile:g}, seed {seed})", drops, needs=_TALKS)


def _said(side: str, *roles: str) -> "pl.Expr":
    """All messages of these roles on one side, in one text."""
    import polars as pl

    message = pl.element().struct
    return pl.col(side).list.eval(message.field("content").filter(message.field("role").is_in(roles))).list.join("\n")


def _everything(table: VoteTable) -> "pl.Series":
    import polars as pl

    sides = [_said(side, "user", "assistant") for side in _TALKS]
    return table.frame.select(pl.concat_str(sides, separator="\n", ignore_nulls=True)).to_series()


def _contains(texts: "pl.Series", wanted: Iterable[str]) -> "pl.Series":
    """Without regard to case, also that of letters beyond ASCII."""
    return texts.str.to_lowercase().str.contains_any([word.lower() for word in wanted])
