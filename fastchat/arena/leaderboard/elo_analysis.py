"""FastChat's `elo_analysis`, made from our boards: its options, and what its files hold besides ratings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fastchat.arena.cleaning.choosing import CleaningOptions
from fastchat.arena.leaderboard.board import OVERALL
from fastchat.arena.leaderboard.building import BoardOptions, Part, prepared
from fastchat.arena.leaderboard.categories import Sources, members_of
from fastchat.arena.leaderboard.rating import estimate, has_times, in_words, rated
from fastchat.arena.leaderboard.rendering.fastchat_pickle import Beside
from fastchat.arena.leaderboard.votes import TIME, VoteTable
from fastchat.ranking.elo import fit_elo
from fastchat.ranking.results import ELO_PER_LOGIT, Estimates, Scale

SEED = 42
_ANCHOR, _ANCHORED_AT = "mixtral-8x7b-instruct-v0.1", 1114.0  # where it has votes, as there
ALL = "full"


@dataclass(frozen=True, slots=True)
class Analysis:
    """The flags that say something."""

    rating_system: str = "bt"
    num_bootstrap: int = 100
    categories: tuple[str, ...] = (ALL,)
    exclude_models: tuple[str, ...] = ()
    exclude_tie: bool = False
    languages: tuple[str, ...] = ()
    daily_votes: int | None = None
    quarantine: bool = False
    style_control: bool = False

    def options(self, votes: VoteTable) -> BoardOptions:
        anchored = _ANCHOR in votes.models and _ANCHOR not in self.exclude_models
        cleaning = CleaningOptions(
            identity="off",
            without_broken=False,
            languages=self.languages,
            excluded_models=self.exclude_models,
            daily_votes=self.daily_votes,
        )
        return BoardOptions.of(
            rating=self.rating_system,
            interval="sandwich" if self.style_control else "bootstrap",
            rounds=self.num_bootstrap,
            seed=SEED,
            anchor=_ANCHOR if anchored else None,
            offset=_ANCHORED_AT if anchored else 1000.0,
            style_control=self.style_control,
            anonymous_only=True,
            cleaning=cleaning,
            without_ties=self.exclude_tie,
            quarantine=self.quarantine,
            categories=tuple(OVERALL if name == ALL else name for name in self.categories),
        )


def beside(votes: VoteTable, options: BoardOptions) -> Mapping[str, Beside]:
    """Of each category. The board that was built of these options has the same votes, unless voters are quarantined."""
    table, _ = prepared(votes, options)
    members = members_of(table, options.categories or (OVERALL,), Sources())
    return {name: _beside(Part.of(table.where(one.mask), options), options) for name, one in members.items()}


def _beside(part: Part, options: BoardOptions) -> Beside:
    if not len(part.rows):
        return Beside()
    with in_words():
        online = fit_elo(part.rows, both_bad=options.both_bad, by_time=has_times(part.rows))
        ratings = dict(zip(online.models, Scale().ratings(online).tolist(), strict=True))
        drawn = options if options.rating == "elo" else options.model_copy(update={"interval": "bootstrap"})
        return Beside(online=ratings, draws=_draws(estimate(rated(part.counts, options), drawn, part.rows), options))


def _draws(estimates: Estimates, options: BoardOptions) -> dict[str, list[float]]:
    """On the board's scale, the anchor held fast in every round."""
    if estimates.draws is None:
        return {}
    draws = estimates.draws
    if options.anchor in estimates.models:
        at = estimates.models.index(options.anchor)
        draws = draws - draws[:, at : at + 1]
    scaled = options.offset + ELO_PER_LOGIT * draws
    order = (-scaled.mean(axis=0)).argsort(kind="stable")
    return {estimates.models[at]: scaled[:, at].tolist() for at in order}


def day_of(votes: VoteTable, now: float) -> str:
    """Of the newest vote, in UTC, as files are named."""
    newest = votes.frame[TIME].max() if votes.has(TIME) else None
    return f"{datetime.fromtimestamp(newest if isinstance(newest, float) else now, UTC):%Y%m%d}"
