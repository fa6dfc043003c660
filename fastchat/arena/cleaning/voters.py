"""Rules that go by who voted, how often, and how fast."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from fastchat.arena.cleaning.rules import Rule
from fastchat.arena.leaderboard.votes import DWELL, TIME, VOTER, VoteTable

if TYPE_CHECKING:
    import polars as pl

_DAY_S = 86400
_PREFIX = "arena_user_"  # what FastChat puts before an address


def banned_voters(voters: Collection[str]) -> Rule:
    """As the table calls them, or without what FastChat puts before an address."""
    names = sorted({*voters, *(_PREFIX + voter for voter in voters)})
    return Rule("banned", "the voter is banned", lambda table: table.frame[VOTER].is_in(names), needs=(VOTER,))


def daily_cap(most: int) -> Rule:
    """A voter's first votes of each day count; days are those of UTC. Of unknown voters nothing is dropped."""

    def drops(table: VoteTable) -> "pl.Series":
        import polars as pl

        number = pl.col(TIME).rank("ordinal").over(VOTER, (pl.col(TIME) / _DAY_S).floor())
        return table.frame.select((number > most) & pl.col(VOTER).is_not_null()).to_series()

    return Rule("daily cap", f"the voter had cast {most} votes on that day", drops, needs=(VOTER, TIME))


def hasty(least_s: float) -> Rule:
    return Rule(
        "hasty",
        f"the vote came less than {least_s:g} s after the answers",
        lambda table: table.frame[DWELL] < least_s,
        needs=(DWELL,),
    )
