"""Voted conversations of FastChat's logs, one after the other, to be read by people."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fastchat.arena.exchange.log_files import Malformed, parse, read
from fastchat.arena.records import Outcome


class Spoken(NamedTuple):
    role: str
    text: str


class Side(NamedTuple):
    title: str  # Winner, Loser, Model A, Model B
    model: str
    conv_id: str
    messages: tuple[Spoken, ...]


class Voted(NamedTuple):
    place: str  # file:line
    at: float  # UTC seconds
    outcome: Outcome
    sides: tuple[Side, Side]  # the winner first, if there is one


class Wanted(NamedTuple):
    """Which of them; what is not said does not matter."""

    winner: str | None = None
    loser: str | None = None
    models: tuple[str, ...] = ()  # all of them took part
    outcomes: tuple[Outcome, ...] = ()
    conv_id: str | None = None
    text: str | None = None  # stands somewhere in it, in any case

    def holds(self, voted: Voted) -> bool:
        first, second = voted.sides
        is_won = voted.outcome in (Outcome.LEFT, Outcome.RIGHT)
        return (
            (self.winner is None or (is_won and first.model == self.winner))
            and (self.loser is None or (is_won and second.model == self.loser))
            and {*self.models} <= {first.model, second.model}
            and (not self.outcomes or voted.outcome in self.outcomes)
            and (self.conv_id is None or self.conv_id in (first.conv_id, second.conv_id))
            and (self.text is None or any(self.text.lower() in said.text.lower() for said in _said(voted)))
        )


def voted_talks(files: Iterable[Path], wanted: Wanted) -> Iterator[Voted]:
    """In the order of the lines; those that are none of FastChat's are passed over."""
    for file in files:
        for line in read(file):
            if b'vote"' not in line.data:
                continue
            try:
                parsed = parse(line.data)
            except Malformed:
                continue
            if parsed["type"] in list(Outcome):
                voted = _voted(line.place, parsed)
                if wanted.holds(voted):
                    yield voted


def _voted(place: str, line: dict[str, Any]) -> Voted:
    """Any: JSON"""
    outcome = Outcome(line["type"])
    first, second = (1, 0) if outcome is Outcome.RIGHT else (0, 1)
    titles = ("Winner", "Loser") if outcome in (Outcome.LEFT, Outcome.RIGHT) else ("Model A", "Model B")
    sides = (_side(titles[0], line, first), _side(titles[1], line, second))
    return Voted(place, float(line["tstamp"]), outcome, sides)


def _side(title: str, line: dict[str, Any], at: int) -> Side:
    state = line["states"][at]
    messages = tuple(Spoken(role, _text(content)) for role, content in state["messages"])
    return Side(title, str(state.get("model_name") or line["models"][at] or "?"), state["conv_id"], messages)


def _text(content: Any) -> str:
    """A text, or a text with names of pictures."""
    if isinstance(content, list) and content and isinstance(content[0], str):
        return f"{content[0]} [{', '.join(map(str, content[1]))}]" if len(content) > 1 else content[0]
    return "" if content is None else str(content)


def _said(voted: Voted) -> Iterator[Spoken]:
    for side in voted.sides:
        yield from side.messages
