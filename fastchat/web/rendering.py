"""A conversation as the chat logs show it, in the form in which Gradio sends it to the browser.

Gradio would make the same rows out of a shorter form, in a thread and through pydantic, at every update of every pane;
that is half of what an update costs.
"""

import html
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from fastchat.arena.records import Ending, FilePart, Part, Side, TextPart, Thumb
from fastchat.arena.views import AnswerView, ConversationView, TurnView
from fastchat.web.formulas import mark_formulas

Message = dict[str, Any]  # Gradio is untyped

FILES = "api/arena/files/"  # beside the page, wherever a proxy shows it

_ENDINGS = {
    Ending.STOPPED: "stopped",
    Ending.CUT_OFF: "cut off at the token limit",
    Ending.INTERRUPTED: "interrupted, because the server was restarted",
}
_THUMBS = {Thumb.UP: "Like", Thumb.DOWN: "Dislike", Thumb.FLAG: "Flag"}

WAITING = '<span class="fc-waiting" role="status" aria-label="Waiting for the first token"></span>'


class Row(NamedTuple):
    turn: int
    message: Message
    is_question: bool = False  # in words, so it can be edited


def log_of(view: ConversationView | None, side: Side) -> list[Message]:
    return [row.message for row in rows_of(view, side)]


def last_of(view: ConversationView, side: Side) -> list[Message]:
    """The rows of the last turn, which alone changes while it is answered."""
    return [row.message for row in _rows(len(view.turns) - 1, view.turns[-1], side)]


def rows_of(view: ConversationView | None, side: Side) -> list[Row]:
    return [row for number, turn in enumerate(view.turns if view else ()) for row in _rows(number, turn, side)]


def turn_of_question(view: ConversationView | None, side: Side, index: object) -> int | None:
    """The turn whose question stands in this row of the log; None for any other row."""
    rows = rows_of(view, side)
    if isinstance(index, int) and 0 <= index < len(rows) and rows[index].is_question:
        return rows[index].turn
    return None


def answer_of_row(view: ConversationView | None, side: Side, index: object) -> AnswerView | None:
    rows = rows_of(view, side)
    if view is None or not isinstance(index, int) or not 0 <= index < len(rows):
        return None
    return answer_of(view.turns[rows[index].turn], side)


def answer_of(turn: TurnView, side: Side) -> AnswerView | None:
    return next((answer for answer in turn.answers if answer.side is side), None)


def thumbs_of(view: ConversationView | None, side: Side) -> list[str | None]:
    """What the reader said of each row that is a model's, in their order."""
    rows = [row for row in rows_of(view, side) if row.message["role"] == "assistant"]
    answers = [answer_of(view.turns[row.turn], side) for row in rows] if view else []
    return [_THUMBS[answer.thumb] if answer and answer.thumb else None for answer in answers]


def _rows(number: int, turn: TurnView, side: Side) -> Iterator[Row]:
    for part in turn.question:
        if isinstance(part, FilePart):
            yield Row(number, _message("user", _file(part)))
    if text := words_of(turn.question):
        yield Row(number, _message("user", text), is_question=True)
    answer = answer_of(turn, side)
    if answer is not None:
        for message in answer_messages(answer):
            yield Row(number, message)


def words_of(question: tuple[Part, ...]) -> str:
    """What was typed."""
    return "\n\n".join(part.text for part in question if isinstance(part, TextPart))


def _file(part: FilePart) -> str:
    name = html.escape(part.name or "file", quote=True)
    if part.type == "image":
        return f'<img class="fc-image" src="{FILES}{quote(part.file_id)}" alt="{name}">'
    return f'<span class="fc-file">{name}</span>'


def answer_messages(answer: AnswerView) -> Iterator[Message]:
    is_written = answer.ending is None
    thought, said = (answer.reasoning, answer.text) if answer.reasoning else split_thought(answer.text)
    if thought:
        title = {"title": "Reasoning", "status": "pending" if is_written and not said else "done"}
        yield _message("assistant", mark_formulas(thought), title)
    if said:
        yield _message("assistant", mark_formulas(said))
    elif is_written and not thought:
        yield _message("assistant", WAITING)
    if answer.failure:
        yield _message("assistant", f'<div class="fc-failure" role="alert">{html.escape(answer.failure)}</div>')
    if not is_written and (told := facts(answer)):
        yield _message("assistant", f'<div class="fc-facts">{html.escape(told)}</div>')


def _message(role: str, text: str, metadata: dict[str, Any] | None = None) -> Message:
    return {"role": role, "metadata": metadata, "content": [{"text": text, "type": "text"}], "options": None}


def facts(answer: AnswerView) -> str:
    """`smollm2 · 42 tokens · 31.5 tokens/s · first token after 0.21 s`; of a blind answer, only how it ended."""
    found = [
        answer.model,
        _count(answer.completion_tokens),
        _rate(answer.tokens_per_s),
        None if answer.first_token_s is None else f"first token after {answer.first_token_s:.2f} s",
        _ENDINGS.get(answer.ending) if answer.ending else None,
    ]
    return " · ".join(fact for fact in found if fact)


def _count(tokens: int | None) -> str | None:
    return f"{tokens} token{'s' if tokens > 1 else ''}" if tokens else None


def _rate(tokens_per_s: float | None) -> str | None:
    return f"{tokens_per_s:.{0 if tokens_per_s >= 10 else 1}f} tokens/s" if tokens_per_s else None


def split_thought(text: str) -> tuple[str, str]:
    """(thought, answer). Some prompts end with the opening tag, so an answer may hold the closing one alone."""
    before, closed, after = text.partition("</think>")
    if not closed and not text.lstrip().startswith("<think>"):
        return "", text
    return before.strip().removeprefix("<think>").strip(), after.lstrip("\n")
