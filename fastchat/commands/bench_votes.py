"""Votes of people for `fastchat bench show --votes`: FastChat's vote files, and an arena's own, wherever they are."""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fastchat.core.errors import MissingPackage, SetupError

if TYPE_CHECKING:
    from fastchat.arena.leaderboard.votes import VoteTable
    from fastchat.llm_judge.results.battles import Battle

_TALKS = ("conv_a", "conv_b")
_SQLITE = b"SQLite format 3\0"
_HEAD = 2**20  # bytes, in which the first vote of a file stands


class People(NamedTuple):
    """As `results.show` takes them."""

    files: "tuple[Path, ...]" = ()
    battles: "tuple[Battle, ...] | None" = None  # None: no arena was named


async def read_people(source: str, arena: str) -> People:
    """
    Raises:
        SetupError: there is no such file or database, or it has no votes that could be matched with questions.
    """
    try:
        if "://" in source or _is_database(Path(source)):
            return People(battles=_battles(await _stored(source, arena)))
        return _of_file(Path(source))
    except MissingPackage:
        raise
    except SetupError as error:
        raise SetupError(f"--votes {source}: {error.message}") from None


def _of_file(file: Path) -> People:
    if not file.exists():
        raise SetupError(
            "There is no such file. It is a file of votes, an arena's export or logs, its database, "
            "or that database's URL."
        )
    return People(battles=_battles(_exported(file))) if _is_of_arena(file) else People((file,))


def _is_database(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(len(_SQLITE)) == _SQLITE


def _is_of_arena(file: Path) -> bool:
    """FastChat's own votes on a bench name a question by its id, and hold no text."""
    from fastchat.arena.leaderboard.files import Form, form_of, opened

    if file.is_dir() or form_of(file) not in (Form.LIST, Form.LINES, Form.OBJECT):
        return True
    with opened(file) as stream:
        head = stream.read(_HEAD)
    return any(key in head for key in (b'"conv_a"', b'"conversation_a"'))


async def _stored(address: str, arena: str) -> "VoteTable":
    from fastchat.arena.leaderboard.store_votes import store_votes
    from fastchat.arena.store.store import read_store

    key = secrets.token_bytes(32)  # voters are told apart, and no more
    async with read_store(address) as store:
        return await store.read(lambda rows: store_votes(rows, arena, key, columns={}, where={}, needs=_TALKS))


def _exported(file: Path) -> "VoteTable":
    from fastchat.arena.leaderboard.reading import read_votes

    return read_votes([file], needs=_TALKS)


def _battles(votes: "VoteTable") -> "tuple[Battle, ...]":
    from fastchat.llm_judge.results.battles import Battle
    from fastchat.llm_judge.results.opinions import Choice
    from fastchat.ranking.comparisons import Outcome

    if not votes.has("conv_a"):
        raise SetupError(
            "These votes have no conversations (conv_a), so nobody knows what was asked. Export "
            "them with their texts, or give the arena's database."
        )
    choices = {Outcome.LEFT: Choice.A, Outcome.RIGHT: Choice.B}
    return tuple(
        Battle(
            tuple(said["content"] or "" for said in row["conv_a"] or () if said["role"] == "user"),
            row["model_a"],
            row["model_b"],
            choices.get(Outcome(row["outcome"]), Choice.TIE),
            row.get("voter") or "",
        )
        for row in votes.frame.iter_rows(named=True)
    )
