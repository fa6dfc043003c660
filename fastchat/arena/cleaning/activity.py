"""What happened in an arena, counted from FastChat's logs: actions, calls of models, anonymous votes, chats by hour."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

from fastchat.arena.exchange.fastchat_lines import CHAT
from fastchat.arena.exchange.log_files import Malformed, parse, read
from fastchat.arena.records import Outcome

_HOUR_S, _HOURS = 3600, 24
_HIDDEN = ("", "Model A")  # what stood on the page in place of the left model's name


class Event(NamedTuple):
    at: float  # UTC seconds
    kind: str
    model: str  # of a chat
    is_anonymous_vote: bool


@dataclass(slots=True)
class Counts:
    actions: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    anonymous_votes: Counter[str] = field(default_factory=Counter)

    def add(self, event: Event) -> None:
        self.actions[event.kind] += 1
        if event.kind == CHAT:
            self.models[event.model] += 1
        if event.is_anonymous_vote:
            self.anonymous_votes[event.kind] += 1


@dataclass(frozen=True, slots=True)
class Activity:
    """`last_day` and `last_hour` reach back from the newest line."""

    ever: Counts
    last_day: Counts
    last_hour: Counts
    chats_by_hour: tuple[int, ...]  # the last hour first
    by_day: Mapping[str, Counts]  # 2026-01-31 → what happened then
    until: float | None  # the newest line; None: there was none
    malformed: tuple[str, ...]  # places of lines that are none of FastChat's, with the reason


def activity(files: Iterable[Path], zone: tzinfo) -> Activity:
    """Of all lines, in any order. Days are those of `zone`."""
    ever, by_day, malformed = Counts(), dict[str, Counts](), []
    recent = _Recent()
    for file in files:
        for line in read(file):
            try:
                event = _event(parse(line.data))
            except Malformed as reason:
                malformed.append(f"{line.place} {reason}")
                continue
            ever.add(event)
            recent.add(event)
            by_day.setdefault(f"{datetime.fromtimestamp(event.at, zone):%Y-%m-%d}", Counts()).add(event)
    last_day, last_hour, hours = Counts(), Counts(), [0] * _HOURS
    for event in recent.events():
        last_day.add(event)
        hour = int((recent.until - event.at) // _HOUR_S)
        hours[hour] += event.kind == CHAT
        if hour == 0:
            last_hour.add(event)
    until = recent.until if ever.actions else None
    return Activity(ever, last_day, last_hour, tuple(hours), dict(sorted(by_day.items())), until, tuple(malformed))


def _event(line: Mapping[str, object]) -> Event:
    kind, models = str(line["type"]), line.get("models")
    is_anonymous = isinstance(models, list) and kind in list(Outcome) and models[0] in _HIDDEN
    return Event(float(str(line["tstamp"])), kind, str(line.get("model", "")), is_anonymous)


class _Recent:
    """Events of the last 24 hours. Older ones are forgotten on the way, so that logs of any length can be counted."""

    def __init__(self) -> None:
        self.until = float("-inf")
        self._events: deque[Event] = deque()

    def add(self, event: Event) -> None:
        self.until = max(self.until, event.at)
        self._events.append(event)
        while self._events and not self._is_recent(self._events[0]):
            self._events.popleft()

    def events(self) -> list[Event]:
        """Lines of several servers do not come in the order of their time."""
        return [event for event in self._events if self._is_recent(event)]

    def _is_recent(self, event: Event) -> bool:
        return event.at > self.until - _HOURS * _HOUR_S
