"""Files of conversations → token stores, one to train on and one to measure the loss on.

What is kept back follows from a conversation's id alone (of parts of one, from the id of the whole), so it stands on
the same side in every run, whatever is added.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from fastchat.core.errors import SetupError
from fastchat.core.places import cache_dir
from fastchat.data.readers.conversations import read_conversations
from fastchat.data.records import Conversation
from fastchat.train.checks import NoConversations
from fastchat.train.encoding import Encoder
from fastchat.train.plan import DataChoice
from fastchat.train.token_store import TokenStore, digest_of_files, open_store

Side: TypeAlias = Literal["all", "kept", "held out"]


class Examples(NamedTuple):
    train: TokenStore
    evaluation: TokenStore | None

    @property
    def is_weighted(self) -> bool:
        return any(store.is_weighted for store in self if store is not None)


def prepare(data: DataChoice, encoder: Callable[[], Encoder]) -> Examples:
    """`encoder` makes a new one, for each counts what it encodes.

    Raises:
        SetupError: a file cannot be read, or what is in it trains nothing (see `checks`).
    """

    for file in (*data.files, *data.eval_files):
        if not file.is_file():
            raise SetupError(f"There is no file {file} to train on.")

    def store(files: Sequence[Path], side: Side) -> TokenStore:
        digest = f"{digest_of_files(files)}:{side}:{data.held_out}:{data.most}"
        try:
            return open_store(cache_dir() / "tokens", encoder(), digest, lambda: conversations(data, files, side))
        except NoConversations:
            raise _nothing(files, side, data.held_out) from None

    train = store(data.files, "kept" if data.held_out and not data.eval_files else "all")
    if data.eval_files:
        return Examples(train, store(data.eval_files, "all"))
    return Examples(train, store(data.files, "held out") if data.held_out else None)


def _nothing(files: Sequence[Path], side: Side, share: float) -> SetupError:
    named = ", ".join(map(str, files))
    if side == "all":
        return SetupError(f"There are no conversations in {named}.")
    where = "nothing is held out to measure the loss on" if side == "held out" else "nothing is left to train on"
    return SetupError(
        f"Of the conversations in {named}, with a share of {share:g} {where}: there are too few, and their ids decide. "
        "Give another share (held_out), or a file to measure the loss on (eval_data)."
    )


def conversations(data: DataChoice, files: Sequence[Path], side: Side = "all") -> Iterator[Conversation]:
    """
    Raises:
        SetupError: a file cannot be read, or holds something else.
    """
    every = (conversation for file in files for conversation in read_conversations(file))
    for conversation in islice(every, data.most):
        if side == "all" or is_held_out(conversation.whole, data.held_out) == (side == "held out"):
            yield conversation


def is_held_out(conversation_id: str, share: float) -> bool:
    digest = hashlib.sha256(conversation_id.encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
