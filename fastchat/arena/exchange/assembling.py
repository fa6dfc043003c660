"""From FastChat's lines about one conversation to what the store keeps of it. Nothing is lost but the address.

Each line repeats all that was said before it. Here every question and answer stands once; where a line says something
that cannot be told from them again, the difference is kept beside it (`stored_lines`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, NamedTuple
from uuid import UUID

from fastchat.arena.exchange.fastchat_lines import CHAT, Line
from fastchat.arena.exchange.log_files import TEXT, states_of
from fastchat.arena.exchange.patches import Json, canonical, difference
from fastchat.arena.exchange.standing import standing
from fastchat.arena.exchange.stored_lines import KEY, base_line
from fastchat.arena.records import Battle, Ending, FilePart, Mark, Mode, Outcome, Part, Sampling, Side, TextPart, Thumb
from fastchat.arena.store.reading import GivenThumb, Message, Transcript, in_order
from fastchat.arena.store.rows import storable, storable_json

POLICY = "imported"
# Of a draw nobody noted down. The store has no word for "unknown"; 1 leaves such a vote the weight it has in every
# ranking of FastChat's logs, the policy says that it is not known, and tables that leave the store have a null there.
UNKNOWN_PROBABILITY = 1.0

_HIDDEN = ("", "Model A", "Model B")
_TITLE_CHARS = 80
_MODEL_CHARS = 256


class LogLine(NamedTuple):
    """`line` has a keyed hash in place of the address."""

    line: Line
    log: str = TEXT

    @property
    def kind(self) -> str:
        return str(self.line["type"])

    @property
    def at(self) -> float:
        return float(self.line["tstamp"])

    @property
    def digest(self) -> bytes:
        """The same for the same line, wherever it was sent from."""
        return hashlib.sha256(canonical({**self.line, "ip": None}).encode()).digest()


class Pair(NamedTuple):
    """`conv_id` of both sides."""

    left: str
    right: str | None


@dataclass(frozen=True, slots=True)
class Assembled:
    transcript: Transcript
    ballot_line: LogLine | None  # the first vote
    further_votes: int  # kept as lines: a battle has one vote


def named_id(*names: object) -> str:
    """An id that follows from what it is of: importing twice gives the same one."""
    digest = hashlib.sha256(canonical(list(map(str, names))).encode()).digest()
    bits = int.from_bytes(digest[:16]) & ~(0xF << 76 | 0b11 << 62) | 0x8 << 76 | 0b10 << 62
    return str(UUID(int=bits))


def conversation_id(conv_id: str) -> str:
    """FastChat's is a UUID in hexadecimal."""
    try:
        return str(UUID(conv_id))
    except ValueError:
        return named_id("conversation", conv_id)


def battle_id(right: str) -> str:
    """After the right side, which is found again by it; the left side gives the conversation its id."""
    return named_id(right, "battle")


def assemble(
    lines: Sequence[LogLine],
    pair: Pair,
    *,
    arena: str,
    voter_id: str | None,
    address: str | None,
    mode: Mode | None = None,
) -> Assembled:
    """Of all lines about this pair, or about this one side. A `mode` that is given was settled by an earlier vote."""
    ordered = sorted(lines, key=lambda line: line.at)
    builder = _Builder(pair)
    for line in ordered:
        builder.take(line)
    votes = [line for line in ordered if line.kind in list(Outcome)]
    mode = mode or _mode(pair, votes or [line for line in ordered if "models" in line.line])
    models = tuple(builder.models[side] for side in Side if side in builder.models)
    first, last = min(builder.times), max(builder.times)
    known = Transcript(
        conversation_id=conversation_id(pair.left),
        arena=arena,
        mode=mode,
        voter_id=voter_id,
        models=models,
        created_at=first,
        updated_at=last,
        system=builder.system,
        sampling=builder.sampling or Sampling(),
        address_hash=address,
        marks=frozenset({Mark.FLAGGED_PROMPT} if builder.is_flagged else ()),
        details={KEY: {"sides": builder.sides, "lines": []}},
        messages=builder.settled(votes[0].at if votes else None),
        thumbs=tuple(builder.thumbs),
    )
    known = replace(known, title=_title(known.messages), battle=_battle(known, pair.right) if pair.right else None)
    records = [_record(known, line, builder.answers_of.get(index)) for index, line in enumerate(ordered)]
    details = {KEY: {"sides": builder.sides, "lines": records}}
    return Assembled(replace(known, details=details), votes[0] if votes else None, max(0, len(votes) - 1))


def _mode(pair: Pair, shown: Sequence[LogLine]) -> Mode:
    if pair.right is None:
        return Mode.DIRECT
    return Mode.BATTLE if shown and shown[0].line["models"][0] in _HIDDEN else Mode.SIDE_BY_SIDE


def _battle(of: Transcript, right: str) -> Battle:
    model_a, model_b = of.models
    return Battle(battle_id(right), model_a, model_b, UNKNOWN_PROBABILITY, POLICY, of.created_at)


def _record(of: Transcript, line: LogLine, answer: Message | None) -> Mapping[str, Any]:
    record: dict[str, Any] = {"type": line.kind, "at": line.at}
    if answer is not None:
        record["message"] = answer.message_id
    if line.log:
        record["log"] = storable(line.log)
    if patch := difference(base_line(of, line.kind, line.at, answer), line.line):
        record["patch"] = patch
    return record


def _title(messages: Sequence[Message]) -> str:
    words = " ".join(next((message.text for message in messages if message.side is None), "").split())
    return words if len(words) <= _TITLE_CHARS else f"{words[: _TITLE_CHARS - 1]}…"


class _Builder:
    """Takes line after line and notes whatever was not known yet."""

    def __init__(self, pair: Pair) -> None:
        self._side_of = {pair.left: Side.LEFT, pair.right: Side.RIGHT}
        self._pair = pair
        self._messages: list[Message] = []
        self._questions: dict[tuple[int, str], Message] = {}
        self._attempts: dict[tuple[Side, int], int] = {}
        self._current: dict[tuple[Side, int], Message] = {}
        self._lines = 0
        self.answers_of: dict[int, Message] = {}  # number of a one-sided line → what it is about
        self.sides: dict[str, Mapping[str, Any]] = {}  # Any: JSON
        self.models: dict[Side, str] = {}
        self.thumbs: list[GivenThumb] = []
        self.times: list[float] = []
        self.system = ""
        self.sampling: Sampling | None = None
        self.is_flagged = False

    def take(self, line: LogLine) -> None:
        began = _number(line.line.get("start"))
        at = line.at if line.kind != CHAT or began is None or began > line.at else began
        self.times += [at, line.at]
        for state in states_of(line.line):
            self._take_state(line, self._side_of[state["conv_id"]], state, at)
        self._lines += 1

    def settled(self, vote_at: float | None) -> tuple[Message, ...]:
        """All messages by time, those that no longer stand marked."""
        ordered = sorted(self._messages, key=in_order)
        turns = [turn for side in Side for turn in standing(ordered, side)]
        kept = {message.message_id for turn in turns for message in turn if message is not None}
        return tuple(
            replace(
                message,
                is_superseded=message.message_id not in kept,
                is_after_vote=vote_at is not None and message.created_at > vote_at,
            )
            for message in ordered
        )

    def _take_state(self, line: LogLine, side: Side, state: Line, at: float) -> None:
        spoken = state["messages"]
        offset = state.get("offset")
        examples = offset if isinstance(offset, int) and 0 <= offset <= len(spoken) else 0
        self._describe(line, side, state, spoken[:examples])
        said = spoken[examples:]
        turns = list(zip_longest(said[::2], said[1::2]))
        for turn, (question, answer) in enumerate(turns):
            self._ask(turn, question[1], at)
            is_generated = line.kind == CHAT and turn == len(turns) - 1
            text = answer[1] if answer is not None else None
            if is_generated:
                self._answer(side, turn, text, at, line.line)
            elif isinstance(text, str):
                known = self._current.get((side, turn))
                if known is None or known.text != storable(text):
                    self._answer(side, turn, text, at, None)
        about = self._current.get((side, len(turns) - 1))
        if "state" in line.line and about is not None:
            self.answers_of[self._lines] = about
            if line.kind in list(Thumb):
                self.thumbs.append(GivenThumb(about.message_id, Thumb(line.kind), line.at))

    def _describe(self, line: LogLine, side: Side, state: Line, examples: Json) -> None:
        name = state.get("model_name") or line.line.get("model") or ""
        self.models.setdefault(side, storable(str(name))[:_MODEL_CHARS])
        if side.value not in self.sides:
            rest = {key: value for key, value in state.items() if key != "messages"}
            self.sides[side.value] = storable_json({**rest, "examples": examples})
            if not self.system and isinstance(state.get("system_message"), str):
                self.system = storable(state["system_message"])
        parameters = line.line.get("gen_params")
        if self.sampling is None and isinstance(parameters, dict):
            longest = _number(parameters.get("max_new_tokens"))
            self.sampling = Sampling(
                _number(parameters.get("temperature")),
                _number(parameters.get("top_p")),
                None if longest is None else int(longest),
            )
        self.is_flagged |= bool(state.get("has_csam_image"))

    def _ask(self, turn: int, content: Json, at: float) -> None:
        key = (turn, canonical(content))
        if key in self._questions:
            return
        attempt = 1 + sum(known_turn == turn for known_turn, _ in self._questions)
        message_id = named_id(self._pair.left, "question", turn, attempt)
        asked = Message(message_id, turn, at, question_parts(content), attempt=attempt)
        self._questions[key] = asked
        self._messages.append(asked)

    def _answer(self, side: Side, turn: int, text: Json, at: float, chat: Line | None) -> None:
        attempt = self._attempts.get((side, turn), 0) + 1
        self._attempts[side, turn] = attempt
        conv_id = self._pair.left if side is Side.LEFT else self._pair.right
        finish = None if chat is None else _number(chat.get("finish", chat["tstamp"]))
        message = Message(
            named_id(conv_id, "answer", turn, attempt),
            turn,
            at,
            (TextPart(text=storable(text)),) if isinstance(text, str) else (),
            side=side,
            model=self.models[side],
            attempt=attempt,
            ending=Ending.COMPLETE if isinstance(text, str) else Ending.INTERRUPTED,
            duration_s=None if finish is None or finish < at else finish - at,
        )
        self._current[side, turn] = message
        self._messages.append(message)


def question_parts(content: Json) -> tuple[Part, ...]:
    match content:
        case str():
            return (TextPart(text=storable(content)),)
        case [str() as text, [*images]] if all(isinstance(image, str) for image in images):
            return (TextPart(text=storable(text)), *map(_image, images))
        case None:
            return ()
    return (TextPart(text=canonical(content)),)


def _image(name: str) -> FilePart:
    """FastChat's name of a picture is the MD5 of its pixels; the picture is `serve_images/NAME.png`."""
    is_plain = len(name) <= 36 and name.isalnum() and name.isascii()
    return FilePart(type="image", file_id=name if is_plain else named_id("image", name), media_type="image/png")


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
