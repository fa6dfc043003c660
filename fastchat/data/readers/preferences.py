"""Files of what people preferred, as `Preference` (of two answers, the better) or `Rated` (wanted or not).

{"conversations": [{"from": "human", …}], "chosen": {"from": "gpt", …}, "rejected": {…}}     LLaMA-Factory
{"instruction": "…", "input": "…", "chosen": "…", "rejected": "…"}                           the same, as Alpaca
{"prompt": "…" or [messages], "chosen": "…" or [messages], "rejected": …}                    TRL
{"chosen": [messages], "rejected": [messages]}                                               TRL, prompt in both
{"chosen": "\\n\\nHuman: …\\n\\nAssistant: …", "rejected": "…"}                                  Anthropic's HH
{"messages": […] or "conversations": […], "label": true or "kto_tag": true}                  LLaMA-Factory's KTO
{"prompt": …, "completion": …, "label": true}                                                TRL's KTO
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, TypeVar

from fastchat.core.errors import SetupError
from fastchat.data.readers.files import Fields, Record, read_records, shown
from fastchat.data.readers.messages import Misshapen, as_message, as_messages
from fastchat.data.records import Message, Preference, Rated

_SIDES = ("chosen", "rejected")
_LABELS = ("label", "kto_tag")
_SPEAKER = re.compile(r"\n\n(Human|Assistant): ?")
T = TypeVar("T")


class _Answered(NamedTuple):
    prompt: Sequence[Message]
    answer: Sequence[Message]


def read_preferences(file: Path) -> Iterator[Preference]:
    """
    Raises:
        SetupError: the file cannot be read, or a record is no preference.
    """
    return _converted(file, _preference)


def read_rated(file: Path) -> Iterator[Rated]:
    """Each preference in a file counts as two answers: one that is wanted and one that is not.

    Raises:
        SetupError: the file cannot be read, or a record is neither rated nor a preference.
    """
    return (rated for found in _converted(file, _rated) for rated in found)


def _converted(file: Path, convert: Callable[[Record], T]) -> Iterator[T]:
    for record in read_records(file):
        try:
            yield convert(record)
        except Misshapen as error:
            raise SetupError(f"{record.place}: {error}.") from None


def _preference(record: Record) -> Preference:
    fields = record.fields
    if any(side not in fields for side in _SIDES):
        raise Misshapen(f"a preference has `chosen` and `rejected`; found the fields {', '.join(fields) or 'none'}")
    prompt = _prompt(fields)
    chosen, rejected = (_messages(fields[side], side) for side in _SIDES)
    if prompt is None:
        prompt = [one for one, other in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False))]
        chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    if not prompt or prompt[-1]["role"] != "user":
        raise Misshapen("its prompt has to end with a user's message")
    if not chosen or not rejected:
        raise Misshapen("one of its answers is empty, or both are the same")
    return Preference(_id(record), prompt, chosen, rejected, source=record.file.name)


def _rated(record: Record) -> Sequence[Rated]:
    fields = record.fields
    name = next((label for label in _LABELS if label in fields), None)
    if name is None:
        found = _preference(record)
        pairs = ((found.chosen, True), (found.rejected, False))
        return [Rated(f"{found.id}_{n}", found.prompt, a, w, source=found.source) for n, (a, w) in enumerate(pairs)]
    is_wanted = fields[name]
    if not isinstance(is_wanted, bool):
        raise Misshapen(f"`{name}` has to be true or false; found {shown(is_wanted)}")
    if "completion" in fields:
        prompt, answer = _Answered(_prompt(fields) or [], _messages(fields["completion"], "completion"))
    else:
        field = "messages" if "messages" in fields else "conversations"
        prompt, answer = _parted(as_messages(fields.get(field), field))
    if not prompt or prompt[-1]["role"] != "user" or not answer:
        raise Misshapen("it has to end with an answer to a user's message")
    return [Rated(_id(record), prompt, answer, is_wanted, source=record.file.name)]


def _prompt(fields: Fields) -> list[Message] | None:
    """None: it stands in both answers."""
    system: list[Message] = [{"role": "system", "content": fields["system"]}] if fields.get("system") else []
    if "conversations" in fields:
        return [*system, *as_messages(fields["conversations"], "conversations")]
    if "instruction" in fields:
        asked = "\n".join(str(fields[key]) for key in ("instruction", "input") if fields.get(key))
        return [*system, {"role": "user", "content": asked}]
    prompt = fields.get("prompt")
    if prompt is None:
        return None
    if isinstance(prompt, str):
        return [*system, *(_dialogue(prompt) or [{"role": "user", "content": prompt}])]
    return [*system, *as_messages(prompt, "prompt")]


def _messages(value: object, field: str) -> list[Message]:
    if isinstance(value, str):
        return _dialogue(value) or [{"role": "assistant", "content": value}]
    return as_messages(value, field) if isinstance(value, list) else [as_message(value, field)]


def _dialogue(text: str) -> list[Message]:
    """Of a transcript as Anthropic writes it; empty if it is none."""
    if not text.startswith("\n\nHuman:"):
        return []
    roles = {"Human": "user", "Assistant": "assistant"}
    _, *pieces = _SPEAKER.split(text)
    said = zip(pieces[::2], pieces[1::2], strict=True)
    return [{"role": roles[who], "content": words.strip()} for who, words in said if words.strip()]


def _parted(messages: Sequence[Message]) -> _Answered:
    last = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=-1)
    return _Answered(messages[: last + 1], messages[last + 1 :])


def _id(record: Record) -> str:
    given = record.fields.get("id")
    return str(given) if given is not None else f"{record.file.name.partition('.')[0]}_{record.number - 1}"
