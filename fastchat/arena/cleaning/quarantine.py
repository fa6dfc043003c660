"""Votes of voters who vote unlike others, set aside: a board is shown with and without them, and nothing is deleted."""

from typing import NamedTuple

import numpy as np

from fastchat.arena.leaderboard.votes import VOTER, VoteTable
from fastchat.core.errors import SetupError
from fastchat.ranking.anomalies import LEVEL, Anomalies, Kind, find_anomalies


class SetAside(NamedTuple):
    kept: VoteTable
    quarantined: VoteTable


class SuspectedVoter(NamedTuple):
    voter: str
    votes: int
    after: int  # votes, until it was sure enough
    odds: float  # what the bets against them had won by their last vote, at most
    kind: Kind


def anomalies_of(table: VoteTable, *, level: float = LEVEL) -> Anomalies:
    """Of votes that were cleaned: a model that meets itself has no place in it.

    Raises:
        SetupError: the table does not say who voted.
    """
    try:
        return find_anomalies(table.comparisons(), level=level)
    except ValueError as error:
        raise SetupError(f"Voters cannot be tested: {error}. Give votes with the column {VOTER!r}.") from None


def set_aside(table: VoteTable, anomalies: Anomalies) -> SetAside:
    """The very table that was tested, in two; votes of unknown voters are kept."""
    import polars as pl

    comparisons = table.comparisons()
    if comparisons.digest != anomalies.digest:
        raise SetupError("These are not the votes whose voters were tested. Test them as they are, then set aside.")
    voters = comparisons.voter if comparisons.voter is not None else np.full(len(table), -1)
    is_flagged = pl.Series(np.isin(voters, anomalies.flagged))
    return SetAside(table.where(~is_flagged), table.where(is_flagged))


def suspected(table: VoteTable, anomalies: Anomalies) -> list[SuspectedVoter]:
    """The surest first."""
    codes = table.comparisons().voter
    assert codes is not None
    _, first = np.unique(codes, return_index=True)
    name = dict(zip(codes[first].tolist(), table.frame[VOTER].gather(first).to_list(), strict=True))
    found = [
        SuspectedVoter(
            name[int(anomalies.voters[at])],
            int(anomalies.votes[at]),
            int(anomalies.reached_after[at]),
            float(np.exp(min(anomalies.largest[at], 700.0))),
            Kind(anomalies.kind[at]),
        )
        for at in np.flatnonzero(anomalies.is_flagged)
    ]
    return sorted(found, key=lambda one: (-one.odds, one.voter))
