"""What one side's model is sent for a turn."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from fastchat.arena.records import Answer, Conversation, FilePart, Side, Turn, text_of
from fastchat.client.chat import Message

Images: TypeAlias = Mapping[str, str]  # id of a file → data: URL


def messages_for(conversation: Conversation, side: Side, system: str, images: Images) -> list[Message]:
    """The conversation as this side has had it, up to the question that waits for an answer.

    Turns that came to nothing are left out: many prompt formats refuse two questions in a row.
    """
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for turn in _standing(conversation.turns):
        answer = next((answer for answer in turn.answers if answer.side is side), None)
        if answer is not None and answer.text:
            messages += [_question(turn, images), {"role": "assistant", "content": answer.text}]
    return [*messages, _question(conversation.turns[-1], images)]


def image_ids(turns: Sequence[Turn]) -> list[str]:
    parts = (part for turn in turns for part in turn.question)
    return [part.file_id for part in parts if isinstance(part, FilePart) and part.type == "image"]


def _standing(turns: Sequence[Turn]) -> Iterator[Turn]:
    """All but the last, and but those that the last one asks again: the vote kept their answers where they are."""
    last = turns[-1]
    for turn in turns[:-1]:
        if not (last.is_after_vote and turn.question == last.question and _is_another_try(last)):
            yield turn


def _is_another_try(turn: Turn) -> bool:
    return any(answer.attempt > 1 for answer in turn.answers)


def _question(turn: Turn, images: Images) -> Message:
    words = text_of(turn.question)
    seen = [part for part in turn.question if isinstance(part, FilePart) and part.file_id in images]
    if not seen:
        return {"role": "user", "content": words}
    content: list[dict[str, Any]] = [{"type": "text", "text": words}] if words else []
    content += [{"type": "image_url", "image_url": {"url": images[part.file_id]}} for part in seen]
    return {"role": "user", "content": content}


def without_thought(answer: Answer) -> tuple[str, str]:
    """(thought, text) of an answer into which the model may have written its thoughts.

    Some prompts end with the opening tag, so an answer may hold the closing one alone.
    """
    before, closed, after = answer.text.partition("</think>")
    if answer.reasoning or (not closed and not answer.text.lstrip().startswith("<think>")):
        return answer.reasoning, answer.text
    return before.strip().removeprefix("<think>").strip(), after.lstrip("\n")


def printable(text: str) -> str:
    """Without what neither wires nor databases take: NUL, and halves of characters, which are joined if they can be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "")
