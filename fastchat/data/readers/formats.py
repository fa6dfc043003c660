"""The formats of conversations, each one function from a record of a file to what it holds.

sharegpt    {"id": "7", "conversations": [{"from": "human", "value": "Hi"}, …], "system": "…", "tools": […]}
messages    {"messages": [{"role": "user", "content": "Hi"}, …], "tools": […]}
alpaca      {"instruction": "…", "input": "…", "output": "…", "history": [["…", "…"]]}
dolly       {"instruction": "…", "context": "…", "response": "…", "category": "…"}
oasst       {"message_tree_id": "…", "prompt": {"text": "…", "role": "prompter", "replies": […]}}
fastchat    a line of FastChat's logs, or of ours: {"type": "chat", "model": "…", "state": {"messages": […]}}
battles     {"model_a": "…", "conversation_a": […], "model_b": "…", "conversation_b": […], "winner": "…"}
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fastchat.data.readers.files import Fields, Record, shown
from fastchat.data.readers.messages import Misshapen, as_messages, as_tools
from fastchat.data.records import PART_OF, Conversation, Message

_STATES = ("state", "states")
_NAME_OF_THE_USER = 0  # FastChat's logs name roles, of which the first is the user


class Format(NamedTuple):
    fits: Callable[[Fields], bool]
    convert: Callable[[Record], Iterable[Conversation]]  # raises Misshapen
    # Of a file that says the same conversation again and again, the numbers of the records to read.
    select: Callable[[Iterable[Record]], Collection[int]] | None = None


def _sharegpt(record: Record) -> Iterator[Conversation]:
    yield _talk(record, "conversations")


def _messages(record: Record) -> Iterator[Conversation]:
    yield _talk(record, "messages")


def _talk(record: Record, field: str) -> Conversation:
    known = {"id", field, "system", "tools", "weight"}
    messages = as_messages(record.fields.get(field), field)
    if (system := record.fields.get("system")) and isinstance(system, str):
        messages.insert(0, {"role": "system", "content": system})
    weight = record.fields.get("weight", 1.0)
    if not isinstance(weight, int | float):
        raise Misshapen(f"`weight` has to be a number; found {shown(weight)}")
    return Conversation(
        id=_id(record),
        messages=messages,
        source=record.file.name,
        weight=float(weight),
        tools=as_tools(record.fields.get("tools")),
        extra={key: value for key, value in record.fields.items() if key not in known},
    )


def _alpaca(record: Record) -> Iterator[Conversation]:
    """The question is put together as FastChat's `convert_alpaca` does."""
    yield _instruction(record, "input", "output", "\nInput:\n", "alpaca")


def _dolly(record: Record) -> Iterator[Conversation]:
    yield _instruction(record, "context", "response", "\n\n", "dolly")


def _instruction(record: Record, more: str, answer: str, between: str, prefix: str) -> Conversation:
    fields = record.fields
    for key in ("instruction", answer):
        if key not in fields:
            raise Misshapen(f"there is no `{key}`; found the fields {', '.join(fields) or 'none'}")
    texts = {key: fields.get(key) or "" for key in ("instruction", more, answer, "system")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise Misshapen(f"`{key}` has to be a text; found {shown(text)}")
    asked = texts["instruction"]
    if len(texts[more].strip()) > 1:
        asked += between + texts[more]
    messages: list[Message] = [{"role": "system", "content": texts["system"]}] if texts["system"] else []
    for pair in fields.get("history") or ():
        if not isinstance(pair, list) or len(pair) != 2:
            raise Misshapen(f"`history` has to be pairs of question and answer; found {shown(pair)}")
        messages += _round(*map(str, pair))
    known = {"id", "instruction", more, answer, "system", "history"}
    return Conversation(
        id=str(fields["id"]) if "id" in fields else f"{prefix}_{record.number - 1}",
        messages=[*messages, *_round(asked, texts[answer])],
        source=record.file.name,
        extra={key: value for key, value in fields.items() if key not in known},
    )


def _round(question: str, answer: str) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _oasst(record: Record) -> Iterator[Conversation]:
    """A conversation for each way from the root to a last answer; what reviewers threw out ends a way."""
    root = record.fields.get("prompt")
    if not isinstance(root, dict):
        raise Misshapen(f"`prompt` has to be the root of a tree of messages; found {shown(root)}")
    for way in _ways(root):
        messages = as_messages([{"role": node.get("role"), "content": node.get("text")} for node in way], "prompt")
        extra = {key: way[-1][key] for key in ("lang", "rank") if way[-1].get(key) is not None}
        extra[PART_OF] = _id(record)
        yield Conversation(str(way[-1].get("message_id", _id(record))), messages, record.file.name, extra=extra)


def _ways(node: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """From here to each last answer below; a question without one leads nowhere."""
    replies = [reply for reply in node.get("replies") or () if not _is_rejected(reply)]
    ways = [[node, *rest] for reply in replies for rest in _ways(reply)]
    return ways or ([[node]] if node.get("role") == "assistant" else [])


def _is_rejected(node: Mapping[str, Any]) -> bool:
    return bool(node.get("deleted")) or node.get("review_result") is False


def _fastchat(record: Record) -> Iterator[Conversation]:
    """Of the line on an answer, the conversation so far."""
    state = record.fields.get("state")
    if not isinstance(state, Mapping):
        raise Misshapen(f"`state` has to be a conversation; found {shown(state)}")
    names = state.get("roles") or ("user", "assistant")
    said: list[Fields] = []
    for pair in list(state.get("messages") or ())[int(state.get("offset") or 0) :]:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Misshapen(f"`state.messages` has to be pairs of role and text; found {shown(pair)}")
        name, text = pair
        text = text[0] if isinstance(text, list | tuple) and text else text  # beside images
        if text is not None:
            said.append({"role": "user" if name == names[_NAME_OF_THE_USER] else "assistant", "content": text})
    if system := state.get("system_message"):
        said.insert(0, {"role": "system", "content": system})
    model = record.fields.get("model") or state.get("model_name")
    yield Conversation(
        _log_id(record, state), as_messages(said, "state"), record.file.name, extra={"model": model} if model else {}
    )


def _log_id(record: Record, state: Mapping[str, Any]) -> str:
    return str(state.get("conv_id") or _id(record))


def _longest(records: Iterable[Record]) -> Collection[int]:
    """A log tells a conversation again with every answer and every vote; of each, the answer's line with most of it."""
    best: dict[str, tuple[int, int]] = {}
    for record in records:
        state = record.fields.get("state")
        if record.fields.get("type") == "chat" and isinstance(state, Mapping):
            found, name = (len(state.get("messages") or ()), record.number), _log_id(record, state)
            best[name] = max(best.get(name, found), found)
    return {number for _, number in best.values()}


def _battles(record: Record) -> Iterator[Conversation]:
    for side in ("a", "b"):
        messages = as_messages(record.fields.get(f"conversation_{side}"), f"conversation_{side}")
        extra = {"model": record.fields.get(f"model_{side}") or "", PART_OF: _id(record)}
        yield Conversation(f"{_id(record)}_{side}", messages, record.file.name, extra=extra)


def _id(record: Record) -> str:
    for key in ("id", "conversation_id", "question_id", "message_tree_id"):
        if record.fields.get(key) is not None:
            return str(record.fields[key])
    return f"{record.file.name.removesuffix('.gz').rpartition('.')[0]}_{record.number - 1}"


FORMATS: Mapping[str, Format] = {
    "sharegpt": Format(lambda fields: "conversations" in fields, _sharegpt),
    "messages": Format(lambda fields: "messages" in fields, _messages),
    "oasst": Format(lambda fields: "replies" in _mapping(fields.get("prompt")), _oasst),
    "fastchat": Format(
        lambda fields: "type" in fields and ("state" in fields or "states" in fields), _fastchat, _longest
    ),
    "battles": Format(lambda fields: "conversation_a" in fields and "conversation_b" in fields, _battles),
    "alpaca": Format(lambda fields: "instruction" in fields and "output" in fields, _alpaca),
    "dolly": Format(lambda fields: "instruction" in fields and "response" in fields, _dolly),
}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
