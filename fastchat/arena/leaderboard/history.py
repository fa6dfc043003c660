"""Ratings over time: at each point the board of all votes until then."""

from collections.abc import Iterator

import numpy as np

from fastchat.arena.leaderboard.board import EARLIEST, LATEST, HistoryPoint
from fastchat.arena.leaderboard.rating import RatingOptions, rated
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Floats
from fastchat.ranking.counts import Counts

DAY_S = 86400.0
MOST_POINTS = 60


def history(comparisons: Comparisons, options: RatingOptions, most: int = MOST_POINTS) -> Iterator[HistoryPoint]:
    """A point after each day (UTC) with votes, or after every few days if there are too many. Without times, none.

    Raises:
        ValueError: a time is no date.
    """
    if comparisons.time is None or not np.isfinite(comparisons.time).all() or not len(comparisons):
        return
    for time in (comparisons.time.min(), comparisons.time.max()):
        if not EARLIEST <= time < LATEST:
            raise ValueError(f"tstamp is {time:.15g}, and has to be seconds since 1970, within the years 1 to 9999")
    ends = _ends(comparisons.time, most)
    period = np.searchsorted(ends, comparisons.time, side="right")
    counts = Counts.empty(comparisons.models)
    for at, end in enumerate(ends):
        counts = counts + Counts.of(comparisons.select(period == at))
        if found := point(float(end), counts, options):
            yield found


def point(until: float, counts: Counts, options: RatingOptions) -> HistoryPoint | None:
    """Of all votes until then; None if there is none to rate."""
    used = rated(counts, options)
    if not used.number:
        return None
    estimates = fit_bradley_terry(used, both_bad=options.both_bad, ridge=options.ridge)
    ratings = options.scale.ratings(estimates).tolist()
    # Ratings of another component mean nothing beside these.
    shown = {
        name: rating
        for name, rating, component in zip(estimates.models, ratings, estimates.component, strict=True)
        if component == 0
    }
    return HistoryPoint(until=until, votes=counts.number, ratings=shown)


def _ends(time: Floats, most: int) -> Floats:
    """Ends of days on which somebody voted; evenly thinned out, the last one kept."""
    days = np.unique(np.floor(time / DAY_S)) + 1
    if len(days) > most:
        days = days[np.unique(np.linspace(0, len(days) - 1, most).round().astype(int))]
    return days * DAY_S
