"""Lines of FastChat's logs, out of conversations: one JSON object an event, with FastChat's fields.

    {"tstamp": 1700000005.1234, "type": "chat", "model": "vicuna-13b", "gen_params": {"temperature": 0.7, …},
     "start": 1700000001.5, "finish": 1700000005.1234, "state": {…}, "ip": "…"}
    {"tstamp": …, "type": "leftvote", "models": ["", ""], "states": [{…}, {…}], "ip": "…"}

`ip` is a keyed hash. A state has everything said so far on one side; its `conv_id` is the conversation's id in
hexadecimal, on the right side with its last bit flipped, so that either leads to the conversation.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias
from uuid import UUID

from fastchat.arena.exchange.standing import standing
from fastchat.arena.records import Answer, Conversation, Mode, Outcome, Part, Sampling, Side, Thumb, Turn, text_of
from fastchat.arena.store.reading import Message, Transcript

Line: TypeAlias = dict[str, Any]  # Any: JSON

CHAT = "chat"
SHARE = "share"
ONE_SIDED = (CHAT, *Thumb)
TWO_SIDED = (*Outcome, SHARE)

_TEMPLATE = "api_based_default"  # FastChat's name for models that render their own prompt
_ROLES = ("user", "assistant")


class Said(NamedTuple):
    """One turn, as one side has it."""

    question: tuple[Part, ...]
    answer: str | None


class Described(Protocol):
    """What a line says of any conversation: one of the store, or one that is going on."""

    @property
    def conversation_id(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def models(self) -> tuple[str, ...]: ...
    @property
    def system(self) -> str: ...
    @property
    def sampling(self) -> Sampling: ...
    @property
    def details(self) -> Mapping[str, Any]: ...


def conv_id(conversation_id: str, side: Side) -> str:
    number = UUID(conversation_id).int
    return UUID(int=number ^ 1 if side is Side.RIGHT else number).hex


def conversation_ids(conv_id: str) -> tuple[str, str]:
    """Ids of the conversations whose left or right side could have that name."""
    number = UUID(conv_id).int
    return str(UUID(int=number)), str(UUID(int=number ^ 1))


def chat_line(
    of: Described, model: str, started_at: float, duration_s: float, side_state: Line, address: str | None
) -> Line:
    finish = round(started_at + duration_s, 4)
    sampling = of.sampling
    return {
        "tstamp": finish,
        "type": CHAT,
        "model": model,
        "gen_params": {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_new_tokens": sampling.max_tokens,
        },
        "start": round(started_at, 4),
        "finish": finish,
        "state": side_state,
        "ip": address,
    }


def thumb_line(kind: str, model: str, at: float, side_state: Line, address: str | None) -> Line:
    return {"tstamp": round(at, 4), "type": kind, "model": model, "state": side_state, "ip": address}


def pair_line(of: Described, kind: str, at: float, states: Sequence[Line], address: str | None) -> Line:
    """Two empty names say that they were hidden when this was clicked."""
    shown = ["", ""] if of.mode is Mode.BATTLE else list(of.models)
    return {"tstamp": round(at, 4), "type": kind, "models": shown, "states": list(states), "ip": address}


def state(of: Described, side: Side, said: Iterable[Said]) -> Line:
    known = of.details.get("fastchat", {}).get("sides", {}).get(side.value)
    if known is None:
        known = {
            "template_name": _TEMPLATE,
            "system_message": of.system,
            "roles": list(_ROLES),
            "offset": 0,
            "conv_id": conv_id(of.conversation_id, side),
            "model_name": model_of(of, side),
            "examples": [],
        }
    line = {key: value for key, value in known.items() if key != "examples"}
    roles = line.get("roles")
    asks, answers = roles[:2] if isinstance(roles, list) and len(roles) > 1 else _ROLES
    messages = list(known["examples"])
    for turn in said:
        messages += [[asks, content(turn.question)], [answers, turn.answer]]
    return {**line, "messages": messages}


def model_of(of: Described, side: Side) -> str:
    index = 1 if side is Side.RIGHT else 0
    return of.models[index] if index < len(of.models) else ""


def content(question: tuple[Part, ...]) -> Any:
    """Text, or a pair of text and the images' names."""
    images = [part.file_id for part in question if part.type == "image"]
    return [text_of(question), images] if images else text_of(question)


def said_in(conversation: Conversation, side: Side, last_turn: int | None = None) -> list[Said]:
    return [
        Said(turn.question, next((answer.text for answer in turn.answers if answer.side is side), None))
        for turn in conversation.turns
        if last_turn is None or turn.number <= last_turn
    ]


def said_until(messages: Iterable[Message], side: Side, until: float, answer: Message | None = None) -> list[Said]:
    """What stood on one side at a time, or when an answer was just there."""
    before = [
        message
        for message in messages
        if message.created_at <= until and (answer is None or message.turn <= answer.turn)
    ]
    turns = standing([*before, answer] if answer else before, side)
    return [Said(turn.question.parts, turn.answer.text if turn.answer else None) for turn in turns]


def line_of_answer(conversation: Conversation, turn: Turn, answer: Answer, address: str | None) -> Line:
    side_state = state(conversation, answer.side, said_in(conversation, answer.side, turn.number))
    return chat_line(conversation, answer.model, answer.started_at, answer.duration_s or 0.0, side_state, address)


def line_of_thumb(conversation: Conversation, answer: Answer, thumb: Thumb, at: float, address: str | None) -> Line:
    side_state = state(conversation, answer.side, said_in(conversation, answer.side))
    return thumb_line(thumb, answer.model, at, side_state, address)


def line_of_pair(conversation: Conversation, kind: str, at: float, address: str | None) -> Line:
    states = [state(conversation, side, said_in(conversation, side)) for side in Side]
    return pair_line(conversation, kind, at, states, address)


def stored_chat_line(of: Transcript, answer: Message) -> Line:
    side = answer.side or Side.LEFT
    side_state = state(of, side, said_until(of.messages, side, answer.created_at, answer))
    return chat_line(of, answer.model or "", answer.created_at, answer.duration_s or 0.0, side_state, of.address_hash)


def stored_thumb_line(of: Transcript, kind: str, answer: Message, at: float) -> Line:
    side = answer.side or Side.LEFT
    side_state = state(of, side, said_until(of.messages, side, at))
    return thumb_line(kind, answer.model or "", at, side_state, of.address_hash)


def stored_pair_line(of: Transcript, kind: str, at: float) -> Line:
    states = [state(of, side, said_until(of.messages, side, at)) for side in Side]
    return pair_line(of, kind, at, states, of.address_hash)
