"""What a run of preference tuning is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from fastchat.data.records import Preference, Rated
from fastchat.train.plan import TrainingPlan

Method: TypeAlias = Literal["dpo", "kto", "reward"]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Preferences for DPO and reward models, rated answers for KTO."""

    train: Sequence[Preference] | Sequence[Rated]
    held_out: Sequence[Preference] | Sequence[Rated] = ()
    told: Mapping[str, Any] = field(default_factory=dict)  # where they came from and what was left out, for the lineage

    @property
    def votes(self) -> list[str]:
        """That are learned from, each once."""
        return list(dict.fromkeys(vote for lesson in self.train for vote in lesson.votes))


@dataclass(frozen=True, slots=True)
class AlignmentPlan:
    method: Method
    training: TrainingPlan  # its arguments are of TRL's class for the method; its files are those of the lessons
    lessons: Lessons
    merges: bool = False  # the adapter into its base, so that the folder is a whole model
