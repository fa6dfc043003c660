"""A table of votes ─► a board: cleaned, sorted into categories, rated, and looked at from the sides that matter.

Nothing here depends on time or chance: the same votes and options give the same board, but for when it was built.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from fastchat import __version__
from fastchat.arena.cleaning.choosing import CleaningOptions, rules_for
from fastchat.arena.cleaning.pairings import anonymous_only, marked, missing_names, self_play, weightless
from fastchat.arena.cleaning.quarantine import anomalies_of, set_aside
from fastchat.arena.cleaning.rules import Rule, clean, required
from fastchat.arena.leaderboard.bias import bias_rows
from fastchat.arena.leaderboard.board import (
    OVERALL,
    Board,
    CategoryBoard,
    CleaningStep,
    HistoryPoint,
    ModelFacts,
    ModelRow,
    QuarantineBoard,
)
from fastchat.arena.leaderboard.categories import Sources, members_of
from fastchat.arena.leaderboard.facts import with_medians
from fastchat.arena.leaderboard.history import MOST_POINTS, history
from fastchat.arena.leaderboard.rating import RatingOptions, category_board, in_words, listed, rated_rows, voters_of
from fastchat.arena.leaderboard.style import style_covariates, with_style
from fastchat.arena.leaderboard.variants import variant_rows
from fastchat.arena.leaderboard.votes import CATEGORY, OUTCOME, PROBABILITY, VOTER, WEIGHT, VoteTable
from fastchat.arena.records import Mark
from fastchat.core.errors import SetupError
from fastchat.ranking.anomalies import Anomalies
from fastchat.ranking.comparisons import Comparisons, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.propensity import inverse_propensities
from fastchat.ranking.results import Estimates
from fastchat.ranking.style import fit_style


class BoardOptions(RatingOptions):
    """All that votes are put through; stands in the board's parameters, so that it can be made again."""

    style_control: bool = False
    anonymous_only: bool = False
    as_arena: bool = False  # only what an arena's own leaderboard counts: blind battles in which no answer named itself
    cleaning: CleaningOptions | None = None  # None: only what cannot be rated is left out
    without_ties: bool = False  # nor both-bad
    quarantine: bool = False  # leave out votes of voters whom the test finds anomalous
    categories: tuple[str, ...] | None = None  # None: all votes, and what their column `category` says
    inverse_propensity: bool = False
    unlisted: tuple[str, ...] = ()  # models that were tested, but are not to be ranked
    false_alarms: float | None = Field(0.1, gt=0, lt=1)  # of the test for anomalous voters, a voter; None: no test
    history_points: int = Field(MOST_POINTS, ge=0)
    columns: Mapping[str, str] = Field(default_factory=dict)  # as of `reading.read_votes`
    where: Mapping[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, **given: Any) -> Self:  # Any: as somebody typed it
        """
        Raises:
            SetupError: a value is not allowed.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            if not first["loc"]:
                raise SetupError(f"{first['msg'].removeprefix('Value error, ')}.") from None
            flag = f"--{str(first['loc'][0]).replace('_', '-')}"
            raise SetupError(f"{flag}: {first['msg']} (given: {first['input']!r})") from None

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if self.rating == "elo" and self.style_control:
            raise ValueError("Style can be controlled for with the rating bt only")
        if self.rating == "elo" and self.interval == "clustered":
            raise ValueError("Elo's intervals are bootstrapped: leave the interval out")
        return self


def build(
    votes: VoteTable,
    options: BoardOptions,
    *,
    now: float,
    facts: Mapping[str, ModelFacts] | None = None,
    sources: Sources | None = None,
) -> Board:
    """
    Args:
        now: when it is built, in UTC seconds.
        facts: what is known of models otherwise.
        sources: what tells categories, beside the votes.

    Raises:
        SetupError: the options ask for something that these votes do not have.
    """
    cleaned, steps = prepared(votes, options)
    suspects = _suspects(cleaned, options)
    kept = cleaned
    if options.quarantine and suspects is not None:
        kept = set_aside(cleaned, suspects).kept
        why = "the voter votes unlike all others"
        step = CleaningStep(rule="quarantine", why=why, given=len(cleaned), dropped=len(cleaned) - len(kept))
        steps = (*steps, step)
    if options.anchor is not None and options.anchor not in kept.models:
        raise SetupError(f"--anchor {options.anchor}: there is no such model. Models: {', '.join(kept.models)}.")
    known = with_medians(facts or {}, kept)
    everything = Part.of(kept, options)
    overall = everything.board()
    rows = overall.raw or overall.models
    return Board(
        code_version=__version__,
        built_at=now,
        source=votes.source,
        parameters=options.model_dump(mode="json"),
        cleaning=steps,
        categories=dict(_categories(kept, options, sources or Sources(), overall)),
        quarantine=None if suspects is None else _quarantine(cleaned, suspects, options),
        bias=tuple(bias_rows(everything.votes, everything.rows, options, known)) if rows else (),
        variants=variant_rows(rows, {row.name: row.votes for row in rows}, known, options.unlisted, options.confidence),
        history=tuple(_history(everything, options)),
        facts=known,
    ).sealed()


def _history(everything: "Part", options: BoardOptions) -> Iterator[HistoryPoint]:
    """By Bradley-Terry and without control for style, whatever the board is of."""
    if not options.history_points:
        return
    hidden = set(options.unlisted)
    with in_words():
        for point in history(everything.rows, options, options.history_points):
            shown = {name: rating for name, rating in point.ratings.items() if name not in hidden}
            yield point.model_copy(update={"ratings": shown})


def prepared(votes: VoteTable, options: BoardOptions) -> tuple[VoteTable, tuple[CleaningStep, ...]]:
    """What is rated, and how it came about."""
    rules = rules_for(options.cleaning) if options.cleaning else [missing_names(), self_play()]
    if WEIGHT in votes.frame.columns:
        rules.append(weightless())
    if options.anonymous_only or options.as_arena:
        rules.append(required(anonymous_only()))
    if options.as_arena:
        rules.append(marked(Mark.NAMES_ITSELF))
    if options.without_ties:
        rules.append(_ties())
    if options.inverse_propensity:
        rules.append(required(_undrawn()))
    result = clean(votes, rules)
    table = _reweighted(result.table) if options.inverse_propensity else result.table
    return (with_style(table) if options.style_control else table), result.steps


def _ties() -> Rule:
    decided = [int(Outcome.LEFT), int(Outcome.RIGHT)]
    return Rule("ties", "neither of the two was better", lambda votes: ~votes.frame[OUTCOME].is_in(decided))


def _undrawn() -> Rule:
    return Rule(
        "no probability",
        "nobody knows how likely this pair was to be drawn",
        lambda votes: votes.frame[PROBABILITY].is_null(),
        needs=(PROBABILITY,),
    )


def _reweighted(votes: VoteTable) -> VoteTable:
    import polars as pl

    weights = inverse_propensities(votes.frame[PROBABILITY].to_numpy()).weights
    given = votes.frame[WEIGHT].to_numpy() if votes.has(WEIGHT) else 1.0
    return replace(votes, frame=votes.frame.with_columns(pl.Series(WEIGHT, weights * given)))


def _categories(
    votes: VoteTable, options: BoardOptions, sources: Sources, overall: CategoryBoard
) -> Iterator[tuple[str, CategoryBoard]]:
    wanted = options.categories or (OVERALL, *_values_of_category(votes))
    for name, category in members_of(votes, wanted, sources).items():
        board = overall if name == OVERALL else Part.of(votes.where(category.mask), options).board()
        yield name, listed(board.model_copy(update={"how": category.how}), options.unlisted)


def _values_of_category(votes: VoteTable) -> list[str]:
    if not votes.has(CATEGORY):
        return []
    return [name for name in votes.frame[CATEGORY].unique().drop_nulls().sort().to_list() if name not in ("", OVERALL)]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The votes of one category, in the forms in which they are needed."""

    counts: Counts  # of all votes
    votes: VoteTable  # those that are rated
    rows: Comparisons  # the same, of the models that have any; with voters if intervals are clustered
    options: BoardOptions

    @classmethod
    def of(cls, votes: VoteTable, options: BoardOptions) -> "Part":
        has_voters = options.interval == "clustered"
        everything = votes.comparisons(voters=has_voters)
        if options.both_bad is not BothBad.DROP:
            return cls(Counts.of(everything), votes, rated_rows(everything), options)
        used = votes.where(_is_rated())
        return cls(Counts.of(everything), used, rated_rows(used.comparisons(voters=has_voters)), options)

    def board(self) -> CategoryBoard:
        controlled = self._controlled() if self.options.style_control and len(self.rows) else None
        return category_board(self.counts, self.options, comparisons=self.rows, controlled=controlled)

    def _controlled(self) -> Estimates:
        """For style; where that of an answer is unknown, the two are taken to differ as they mostly do."""
        covariates = style_covariates(self.votes)
        with in_words():
            found = fit_style(
                replace(self.rows, covariates=covariates),
                both_bad=self.options.both_bad,
                ridge=self.options.ridge,
                clusters=voters_of(self.rows) if self.options.interval == "clustered" else None,
            )
        if self.options.interval != "bootstrap":
            return found
        notes = [*found.parameters["notes"], "Intervals of ratings controlled for style are the sandwich's."]
        return replace(found, parameters={**found.parameters, "notes": notes})


def _is_rated() -> Any:  # Any: an expression of polars, which is imported when it is used
    import polars as pl

    return pl.col(OUTCOME) != int(Outcome.BOTH_BAD)


def _suspects(votes: VoteTable, options: BoardOptions) -> Anomalies | None:
    """Of all categories at once. None: nobody knows who voted, or nobody asks."""
    is_known = votes.has(VOTER) and votes.frame[VOTER].null_count() < len(votes)
    if options.false_alarms is None or not is_known:
        if options.quarantine and is_known:
            raise SetupError("--quarantine needs the test of voters, which --false-alarms 0 leaves out.")
        if options.quarantine:
            raise SetupError("--quarantine: the votes have no column 'voter'. Name it as in --columns voter=user_id.")
        return None
    return anomalies_of(votes, level=options.false_alarms)


def _quarantine(votes: VoteTable, suspects: Anomalies, options: BoardOptions) -> QuarantineBoard:
    parts = set_aside(votes, suspects)

    def models(table: VoteTable) -> tuple[ModelRow, ...]:
        part = Part.of(table, options)
        board = category_board(part.counts, options, comparisons=part.rows, details=False)
        return listed(board, options.unlisted).models

    return QuarantineBoard(
        voters=len(suspects.flagged),
        votes=len(parts.quarantined),
        level=suspects.level,
        applied=options.quarantine,
        models_with=models(votes),
        models_without=models(parts.kept),
    )
