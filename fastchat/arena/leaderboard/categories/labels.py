"""Categories by labels: FastChat's column `category_tag`, or files of labels (`label_file`), the last one of a text.

    {"criteria_v0.1": {"specificity": true, …}, "if_v0.1": {"if": true, "score": 4}, "math_v0.1": {"math": false}, …}

A label is looked up by all that was asked, then by the first question: topics are told of single questions.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fastchat.arena.leaderboard.categories.conversations import Conversations
from fastchat.arena.leaderboard.categories.label_file import Values, digest_of, read_labels
from fastchat.arena.leaderboard.categories.languages import TASK as LANGUAGE_TASK
from fastchat.arena.leaderboard.categories.tasks import HARD_FROM
from fastchat.arena.leaderboard.votes import TAG, VoteTable

if TYPE_CHECKING:
    import polars as pl

TOPIC = "topic"  # the task whose label is a name
HARD, FOLLOWING, MATH, WRITING = "hard", "instruction_following", "math", "creative_writing"
BY_LABELS = (HARD, FOLLOWING, MATH, WRITING)  # categories that labels can tell

_VERSION = re.compile(r"_v[\d.]+$")
Flags: TypeAlias = Mapping[str, bool]  # category → whether it is in it; what is not there was not labelled


class Labels:
    """What labels say of each vote of a table."""

    def __init__(self, flags: Sequence[Flags | None]) -> None:
        self._flags = flags
        self._names = {name: None for one in flags if one for name in one}

    @property
    def names(self) -> list[str]:
        return list(self._names)

    def members(self, name: str) -> "pl.Series":
        """Votes without the label are in no category."""
        import polars as pl

        return pl.Series([bool(one and one.get(name)) for one in self._flags], dtype=pl.Boolean)

    def missing(self, name: str) -> int:
        """Votes that nobody has labelled for it."""
        return sum(1 for one in self._flags if one is None or name not in one)


def column_labels(votes: VoteTable) -> Labels:
    """Of `category_tag`, as a structure or as JSON."""
    if not votes.has(TAG):
        return Labels([])
    return Labels([_flags(_tag(value)) for value in votes.frame[TAG].to_list()])


def file_labels(said: Conversations, files: Iterable[Path]) -> Labels:
    """
    Raises:
        SetupError: a file cannot be read; the votes have no conversations.
    """
    known: dict[str, dict[str, Values]] = {}
    for file in files:
        for label in read_labels(file):
            if label.task != LANGUAGE_TASK:
                known.setdefault(label.text, {})[label.task] = label.labels
    if not known:
        return Labels([])
    flags = {digest: _flags(labels) or {} for digest, labels in known.items()}
    found: dict[tuple[str | None, str | None], Flags | None] = {}
    pairs = list(zip(said.first_prompt.to_list(), said.prompt.to_list(), strict=True))
    for pair in set(pairs):
        parts = [flags[digest] for text in pair if text is not None and (digest := digest_of(text)) in flags]
        found[pair] = {name: value for part in parts for name, value in part.items()} if parts else None
    return Labels([found[pair] for pair in pairs])


def _tag(value: Any) -> Mapping[str, Any] | None:
    """Any: what stood in a file."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def _flags(labels: Mapping[str, Any] | None) -> Flags | None:
    if not labels:
        return None
    flags: dict[str, bool] = {}
    for task, values in labels.items():
        if isinstance(values, Mapping):
            flags |= _flags_of_task(_VERSION.sub("", task), values)
    return flags


def _flags_of_task(task: str, values: Values) -> Flags:
    told = {name: value for name, value in values.items() if isinstance(value, bool)}
    if task == "criteria":
        return {HARD: sum(told.values()) >= HARD_FROM} | told if told else {}
    if task == "if":
        return {FOLLOWING: told["if"]} if "if" in told else {}
    if task == TOPIC:
        return {str(values[TOPIC]): True} if values.get(TOPIC) else {}
    return told
