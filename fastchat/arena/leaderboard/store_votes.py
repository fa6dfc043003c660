"""Votes out of an arena's own store, as the table that files give: through the rows of its export."""

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastchat.arena.exchange.vote_table import TableOptions, vote_rows, write_jsonl
from fastchat.arena.leaderboard.reading import read_votes
from fastchat.arena.leaderboard.votes import CONV_A, CONV_B, VoteTable
from fastchat.arena.store.reading import Range, voted
from fastchat.arena.store.votes import newest_head
from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    from sqlalchemy import Connection


def store_votes(
    rows: "Connection",
    arena: str,
    key: bytes,
    *,
    columns: Mapping[str, str],
    where: Mapping[str, str],
    needs: Collection[str] = (),
) -> VoteTable:
    """`key` hashes voters. The source names the log's newest signed head, so that it is known up to which vote this is.

    Raises:
        SetupError: there are no votes, or they do not have what is wanted.
    """
    head = newest_head(rows)
    options = TableOptions(key, with_text=bool({CONV_A, CONV_B} & set(needs)))
    with tempfile.TemporaryDirectory(prefix="fastchat-votes-") as scratch:
        lines = Path(scratch) / "votes.jsonl"
        with lines.open("wb") as file:
            count = write_jsonl(vote_rows(voted(rows, Range(arena)), options), file)
        if not count:
            raise SetupError(f"--arena {arena}: it has no votes. An arena without a name of its own is 'default'.")
        votes = read_votes([lines], columns=columns, where=where, needs=needs)
    source: dict[str, Any] = {"arena": arena, "head": head.as_json() if head else None}
    return replace(votes, source=source | {name: votes.source[name] for name in votes.source if name != "files"})
