"""What cleaning did, in numbers and examples."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

_EXAMPLES = 5  # of each reason
_REASONS = 40  # with examples; the words of a user or a question set may be many

Done = Literal["dropped", "changed", "unreadable"]


class Example(NamedTuple):
    id: str
    found: str


class Reason(NamedTuple):
    rule: str
    done: Done
    why: str


@dataclass
class Tally:
    read: int = 0
    written: int = 0
    chars_read: int = 0
    chars_written: int = 0
    counts: Counter[Reason] = field(default_factory=Counter)
    examples: dict[Reason, list[Example]] = field(default_factory=dict)

    def add(self, reason: Reason, id: str, found: str) -> None:
        self.counts[reason] += 1
        if reason in self.examples or len(self.examples) < _REASONS:
            kept = self.examples.setdefault(reason, [])
            if len(kept) < _EXAMPLES:
                kept.append(Example(id, found))

    def dropped(self, rule: str, why: str | None = None) -> int:
        """By a rule, for one reason or for any."""
        return self._sum("dropped", rule, why)

    def changed(self, rule: str) -> int:
        return self._sum("changed", rule)

    @property
    def unreadable(self) -> int:
        return self._sum("unreadable")

    def _sum(self, done: Done, rule: str | None = None, why: str | None = None) -> int:
        return sum(
            count
            for reason, count in self.counts.items()
            if reason.done == done and rule in (None, reason.rule) and why in (None, reason.why)
        )

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "rule": reason.rule,
                "done": reason.done,
                "why": reason.why,
                "count": count,
                "examples": [example._asdict() for example in self.examples.get(reason, ())],
            }
            for reason, count in self.counts.most_common()
        ]
