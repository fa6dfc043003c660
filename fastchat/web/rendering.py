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
from fastchat.web.markup import escaped
from fastchat.web.refusals import failure
from fastchat.web.texts import Texts

Message = dict[str, Any]  # Gradio is untyped

FILES = "api/arena/files/"  # beside the page, wherever a proxy shows it

_ENDINGS = {Ending.STOPPED: "stopped", Ending.CUT_OFF: "cut_off", Ending.INTERRUPTED: "interrupted"}
# Gradio's own names, by which it finds its icons.
_THUMBS = {Thumb.UP: "Like", Thumb.DOWN: "Dislike", Thumb.FLAG: "Flag"}


class Row(NamedTuple):
    turn: int
    message: Message
    is_question: bool = False  # in words, so it can be edited


def log_of(view: ConversationView | None, side: Side, texts: Texts) -> list[Message]:
    return [row.message for row in rows_of(view, side, texts)]


def last_of(view: ConversationView, side: Side, texts: Texts) -> list[Message]:
    """The rows of the last turn, which alone changes while it is answered."""
    return [row.message for row in _rows(len(view.turns) - 1, view.turns[-1], side, texts)]


def rows_of(view: ConversationView | None, side: Side, texts: Texts) -> list[Row]:
    turns = enumerate(view.turns if view else ())
    return [row for number, turn in turns for row in _rows(number, turn, side, texts)]


def turn_of_question(view: ConversationView | None, side: Side, index: object, texts: Texts) -> int | None:
    """The turn whose question stands in this row of the log; None for any other row."""
    rows = rows_of(view, side, texts)
    if isinstance(index, int) and 0 <= index < len(rows) and rows[index].is_question:
        return rows[index].turn
    return None


def answer_of_row(view: ConversationView | None, side: Side, index: object, texts: Texts) -> AnswerView | None:
    rows = rows_of(view, side, texts)
    if view is None or not isinstance(index, int) or not 0 <= index < len(rows):
        return None
    return answer_of(view.turns[rows[index].turn], side)


def answer_of(turn: TurnView, side: Side) -> AnswerView | None:
    return next((answer for answer in turn.answers if answer.side is side), None)


def thumbs_of(view: ConversationView | None, side: Side, texts: Texts) -> list[str | None]:
    """What the reader said of each row that is a model's, in their order."""
    rows = [row for row in rows_of(view, side, texts) if row.message["role"] == "assistant"]
    answers = [answer_of(view.turns[row.turn], side) for row in rows] if view else []
    return [_THUMBS[answer.thumb] if answer and answer.thumb else None for answer in answers]


def _rows(number: int, turn: TurnView, side: Side, texts: Texts) -> Iterator[Row]:
    for part in turn.question:
        if isinstance(part, FilePart):
            yield Row(number, _message("user", _file(part)))
    if text := words_of(turn.question):
        yield Row(number, _message("user", text), is_question=True)
    answer = answer_of(turn, side)
    if answer is not None:
        for message in answer_messages(answer, texts):
            yield Row(number, message)


def words_of(question: tuple[Part, ...]) -> str:
    """What was typed."""
    return "\n\n".join(part.text for part in question if isinstance(part, TextPart))


def _file(part: FilePart) -> str:
    name = html.escape(part.name or "file", quote=True)
    if part.type == "image":
        return f'<img class="fc-image" src="{FILES}{quote(part.file_id)}" alt="{name}">'
    return f'<span class="fc-file">{name}</span>'


def answer_messages(answer: AnswerView, texts: Texts) -> Iterator[Message]:
    is_written = answer.ending is None
    thought, said = (answer.reasoning, answer.text) if answer.reasoning else split_thought(answer.text)
    if thought:
        title = {"title": texts("reasoning"), "status": "pending" if is_written and not said else "done"}
        yield _message("assistant", mark_formulas(thought), title)
    if said:
        yield _message("assistant", mark_formulas(said))
    elif is_written and not thought:
        yield _message("assistant", _waiting(texts))
    if answer.failure:
        yield _message("assistant", f'<div class="fc-failure" role="alert">{failure(answer.failure, texts)}</div>')
    if not is_written and (told := facts(answer, texts)):
        yield _message("assistant", f'<div class="fc-facts">{html.escape(told)}</div>')


def _message(role: str, text: str, metadata: dict[str, Any] | None = None) -> Message:
    return {"role": role, "metadata": metadata, "content": [{"text": text, "type": "text"}], "options": None}


def _waiting(texts: Texts) -> str:
    return f'<span class="fc-waiting" role="status" aria-label="{escaped(texts("waiting"))}"></span>'


def facts(answer: AnswerView, texts: Texts) -> str:
    """`smollm2 · 42 tokens · 31.5 tokens/s · first token after 0.21 s`; of a blind answer, only how it ended."""
    first_token_s, ending = answer.first_token_s, _ENDINGS.get(answer.ending) if answer.ending else None
    found = [
        answer.model,
        _count(answer.completion_tokens, texts),
        _rate(answer.tokens_per_s, texts),
        None if first_token_s is None else texts("fact_first_token", seconds=texts.number(first_token_s, 2)),
        texts(ending) if ending else None,
    ]
    return " · ".join(fact for fact in found if fact)


def _count(tokens: int | None, texts: Texts) -> str | None:
    if not tokens:
        return None
    return texts("fact_tokens", count=tokens) if tokens > 1 else texts("fact_token")


def _rate(tokens_per_s: float | None, texts: Texts) -> str | None:
    if not tokens_per_s:
        return None
    return texts("fact_rate", rate=texts.number(tokens_per_s, 0 if tokens_per_s >= 10 else 1))


def split_thought(text: str) -> tuple[str, str]:
    """(thought, answer). Some prompts end with the opening tag, so an answer may hold the closing one alone."""
    before, closed, after = text.partition("</think>")
    if not closed and not text.lstrip().startswith("<think>"):
        return "", text
    return before.strip().removeprefix("<think>").strip(), after.lstrip("\n")
