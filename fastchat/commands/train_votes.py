"""Votes for `fastchat train`: out of an arena's store or files of votes, cleaned as for a leaderboard."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastchat.core.errors import SetupError
from fastchat.train.preferences import LeftOut
from fastchat.train.voted_battles import Outcome, VotedBattle

if TYPE_CHECKING:
    from fastchat.arena.leaderboard.votes import VoteTable

_SQLITE = b"SQLite format 3\0"
_ERASED = "the conversation is not kept"


class ReadVotes(NamedTuple):
    battles: Sequence[VotedBattle]
    left_out: Sequence[LeftOut]  # what no leaderboard counts either
    source: dict[str, Any]  # Any: plain JSON; files with their digests, or the arena with the head of its log


async def read_battles(places: Sequence[str], arena: str, *, blind_only: bool) -> ReadVotes:
    """`places`: one database (a path, the folder of an arena's data or a URL), or files of votes and folders of logs.

    Raises:
        SetupError: they cannot be read, have no conversations, or do not say whether names were hidden.
        MissingPackage: polars is not installed.
    """
    from fastchat.arena.leaderboard.reading import read_votes
    from fastchat.arena.leaderboard.votes import ANONYMOUS, CONV_A, CONV_B

    databases = [address for place in places if (address := _database(place)) is not None]
    if databases and len(places) > 1:
        raise SetupError(f"--from-votes: {databases[0]} is a database. Give it alone, or export it and give files.")
    if databases:
        table = await _stored(databases[0], arena)
    else:
        table = read_votes([Path(place) for place in places], needs=(CONV_A, CONV_B))
    named = ", ".join(places)
    if not table.has(CONV_A, CONV_B):
        raise SetupError(
            f"The votes of {named} have no conversations, so nothing can be learned from them. They would stand in "
            "columns conversation_a and conversation_b, or conv_a and conv_b; fastchat arena export writes them."
        )
    if blind_only and not table.has(ANONYMOUS):
        raise SetupError(
            f"The votes of {named} do not say whether voters knew the names (column anony). If all of them are to be "
            "learned from, say so with --no-blind-only."
        )
    return _cleaned(table)


def _database(place: str) -> str | None:
    from fastchat.web.process import DATABASE

    if "://" in place:
        return place
    file = Path(place) / DATABASE if (Path(place) / DATABASE).is_file() else Path(place)
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        return str(file) if stream.read(len(_SQLITE)) == _SQLITE else None


async def _stored(address: str, arena: str) -> "VoteTable":
    from fastchat.arena.leaderboard.store_votes import store_votes
    from fastchat.arena.leaderboard.votes import CONV_A, CONV_B
    from fastchat.arena.store.store import read_store

    key = bytes(32)  # voters only have to be told apart here; and the same votes have the same digest each time
    async with read_store(address) as store:
        return await store.read(
            lambda rows: store_votes(rows, arena, key, columns={}, where={}, needs=(CONV_A, CONV_B))
        )


def _cleaned(table: "VoteTable") -> ReadVotes:
    """Of several votes on a conversation all stay: which counts is decided where conversations are compared."""
    from fastchat.arena.cleaning.choosing import CleaningOptions, rules_for
    from fastchat.arena.cleaning.pairings import marked, repeated_votes
    from fastchat.arena.cleaning.rules import clean
    from fastchat.arena.records import Mark

    rules = [rule for rule in rules_for(CleaningOptions()) if rule.name != repeated_votes().name]
    rules += [marked(mark) for mark in (Mark.FLAGGED_PROMPT, Mark.FLAGGED_ANSWER)]
    cleaned = clean(table, rules)
    battles = list(_battles(cleaned.table))
    left_out = [LeftOut(step.why, step.dropped) for step in cleaned.steps if step.dropped]
    left_out.append(LeftOut(_ERASED, len(cleaned.table) - len(battles)))
    return ReadVotes(battles, left_out, dict(table.source))


def _battles(table: "VoteTable") -> Iterator[VotedBattle]:
    from fastchat.arena.leaderboard.votes import ANONYMOUS, CONV_A, CONV_B, MODEL_A, MODEL_B, OUTCOME, QUESTION, VOTER

    outcomes: tuple[Outcome, ...] = ("a", "b", "tie", "both_bad")  # in the order of the ranking's
    seen: Counter[str] = Counter()
    for number, row in enumerate(table.frame.iter_rows(named=True), 1):
        if row[CONV_A] is None or row[CONV_B] is None:
            continue
        question = row.get(QUESTION)
        vote_id = question or f"vote-{number}"
        seen[vote_id] += 1
        voter = row.get(VOTER)
        yield VotedBattle(
            vote_id=vote_id if seen[vote_id] == 1 else f"{vote_id}-{seen[vote_id]}",
            model_a=row[MODEL_A],
            model_b=row[MODEL_B],
            outcome=outcomes[row[OUTCOME]],
            conversation_a=row[CONV_A],
            conversation_b=row[CONV_B],
            conversation_id="\0".join((question, row[MODEL_A], row[MODEL_B], voter or "")) if question else "",
            voter=voter,
            is_blind=bool(row.get(ANONYMOUS)),
        )
