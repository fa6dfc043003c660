"""Files of conversations → token stores, one to train on and one to measure the loss on.

What is kept back follows from a conversation's id alone, so it stands on the same side in every run, whatever is added.
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
        return open_store(cache_dir() / "tokens", encoder(), digest, lambda: conversations(data, files, side))

    train = store(data.files, "kept" if data.held_out and not data.eval_files else "all")
    if data.eval_files:
        return Examples(train, store(data.eval_files, "all"))
    return Examples(train, store(data.files, "held out") if data.held_out else None)


def conversations(data: DataChoice, files: Sequence[Path], side: Side = "all") -> Iterator[Conversation]:
    """
    Raises:
        SetupError: a file cannot be read, or holds something else.
    """
    every = (conversation for file in files for conversation in read_conversations(file))
    for conversation in islice(every, data.most):
        if side == "all" or is_held_out(conversation.id, data.held_out) == (side == "held out"):
            yield conversation


def is_held_out(conversation_id: str, share: float) -> bool:
    digest = hashlib.sha256(conversation_id.encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
