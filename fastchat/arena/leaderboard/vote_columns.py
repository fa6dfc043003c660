"""What files call the columns of a vote, and which values stand for what.

{"model_a": "gpt-4", "model_b": "vicuna-13b", "winner": "tie (bothbad)", "judge": "…", "tstamp": 1707700514.3, …}
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fastchat.arena.leaderboard.votes import (
    ANONYMOUS,
    CATEGORY,
    CONV_A,
    CONV_B,
    DWELL,
    LANGUAGE,
    MARKS,
    MODEL_A,
    MODEL_B,
    PROBABILITY,
    QUESTION,
    TAG,
    TIME,
    TURNS,
    VOTER,
    WEIGHT,
)
from fastchat.core.errors import SetupError
from fastchat.ranking.comparisons import Outcome

WINNER = "winner"
METADATA = "conv_metadata"  # FastChat's figures of style
FIGURES = tuple(
    f"{figure}_{side}"
    for figure in ("tokens", "first_token_s", "tokens_per_s", "headers", "lists", "bold")
    for side in "ab"
)
TALKS = (CONV_A, CONV_B)

# Ours → what FastChat, its successors and our own exports call it; the first that is there is taken.
NAMES: Mapping[str, tuple[str, ...]] = {
    MODEL_A: ("model_a",),
    MODEL_B: ("model_b",),
    WINNER: ("winner",),
    WEIGHT: ("weight",),
    VOTER: ("voter", "judge", "judge_hash"),
    TIME: ("tstamp", "timestamp"),
    ANONYMOUS: ("anony",),
    PROBABILITY: ("probability",),
    CATEGORY: ("category",),
    LANGUAGE: ("language",),
    TURNS: ("turn",),
    QUESTION: ("question_id", "vote_id"),
    MARKS: ("marks",),
    DWELL: ("dwell_s",),
    TAG: ("category_tag",),
    METADATA: ("conv_metadata",),
    CONV_A: ("conv_a", "conversation_a"),
    CONV_B: ("conv_b", "conversation_b"),
    **{figure: (figure,) for figure in FIGURES},
}
REQUIRED = (MODEL_A, MODEL_B, WINNER)

# Without case, blanks and punctuation.
_OUTCOMES: Mapping[str, Outcome] = {
    **dict.fromkeys(("modela", "left", "leftvote"), Outcome.LEFT),
    **dict.fromkeys(("modelb", "right", "rightvote"), Outcome.RIGHT),
    **dict.fromkeys(("tie", "tievote"), Outcome.TIE),
    **dict.fromkeys(("bothbad", "bothbadvote", "tiebothbad"), Outcome.BOTH_BAD),
}
WINNERS = "model_a, model_b, tie, tie (bothbad); or left, right, tie, bothbad; or FastChat's leftvote, rightvote, …"


def outcome_of(label: str) -> Outcome | None:
    """None: it is none of `WINNERS`."""
    return _OUTCOMES.get("".join(filter(str.isalnum, label.casefold())))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read of every file. `columns`: ours → the file's, where it is none of `NAMES`."""

    columns: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)  # the file's column → the value of rows that are read
    needs: frozenset[str] = frozenset()
    only: tuple[str, ...] = tuple(NAMES)

    def __post_init__(self) -> None:
        if unknown := [name for name in self.columns if name not in NAMES]:
            raise SetupError(f"There is no column {unknown[0]!r} to be named. Columns of votes: {', '.join(NAMES)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """All that could be read of a file, as the file calls it."""
        named = (name for ours in self.only for name in self._names_of(ours))
        return tuple(dict.fromkeys((*named, *self.where)))

    def places(self, present: Collection[str]) -> dict[str, str]:
        """Ours → the file's, of those that are there."""
        found = {}
        for ours in self.only:
            there = next((name for name in self._names_of(ours) if name in present), None)
            if there is not None:
                found[ours] = there
        return found

    def missing(self, present: Collection[str]) -> str | None:
        """What has to be there and is not, in words."""
        for ours, name in self.columns.items():
            if name in self.names and name not in present:
                return f"no column {name!r}, which was to be read as {ours}"
        for name in self.where:
            if name not in present:
                return f"no column {name!r} to choose votes by"
        places = self.places(present)
        for ours in REQUIRED:
            if ours not in places:
                return f"no column {ours}; name the one that says it, for instance with --columns {ours}=NAME"
        return None

    def _names_of(self, ours: str) -> tuple[str, ...]:
        if ours in TALKS and ours not in self.needs:
            return ()
        return (self.columns[ours],) if ours in self.columns else NAMES[ours]
