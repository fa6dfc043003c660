"""A conversation as the chat log shows it."""

import html
from collections.abc import Iterator
from typing import Any

from fastchat.web.formulas import mark_formulas
from fastchat.web.session import Answer, Conversation, Ending

Row = dict[str, Any]  # a message as `gr.Chatbot` takes it; Gradio is untyped

_ENDINGS = {Ending.STOPPED: "stopped", Ending.CUT_OFF: "cut off at the token limit"}

WAITING = '<span class="fc-waiting" role="status" aria-label="Waiting for the first token"></span>'


def log_of(conversation: Conversation) -> list[Row]:
    return [row for _, row in _rows(conversation)]


def turn_of_row(conversation: Conversation, row: int) -> int | None:
    """The turn whose question stands in this row of the log; None for any other row."""
    rows = list(_rows(conversation))
    if 0 <= row < len(rows) and rows[row][1]["role"] == "user":
        return rows[row][0]
    return None


def _rows(conversation: Conversation) -> Iterator[tuple[int, Row]]:
    for number, turn in enumerate(conversation.turns):
        yield number, _row("user", turn.question)
        for row in _answer_rows(turn.answer):
            yield number, row


def _answer_rows(answer: Answer) -> Iterator[Row]:
    if answer.thought:
        is_thinking = answer.is_being_written and not answer.said
        title = {"title": "Reasoning", "status": "pending" if is_thinking else "done"}
        yield _row("assistant", mark_formulas(answer.thought)) | {"metadata": title}
    if answer.said:
        yield _row("assistant", mark_formulas(answer.said))
    elif answer.is_being_written and not answer.thought:
        yield _row("assistant", WAITING)
    if answer.failure:
        yield _row("assistant", f'<div class="fc-failure" role="alert">{html.escape(answer.failure)}</div>')
    if not answer.is_being_written:
        yield _row("assistant", f'<div class="fc-facts">{html.escape(facts(answer))}</div>')


def _row(role: str, text: str) -> Row:
    # As a part, not as a plain string: Gradio strips the common indentation from strings, code included.
    return {"role": role, "content": [{"type": "text", "text": text}]}


def facts(answer: Answer) -> str:
    """`smollm2 · 42 tokens · 31.5 tokens/s · first token after 0.21 s`"""
    found = [
        answer.model or "no model",
        _count(answer.completion_tokens),
        _rate(answer.tokens_per_s),
        None if answer.time_to_first_token_s is None else f"first token after {answer.time_to_first_token_s:.2f} s",
        _ENDINGS.get(answer.ending) if answer.ending else None,
    ]
    return " · ".join(fact for fact in found if fact)


def _count(tokens: int | None) -> str | None:
    return f"{tokens} token{'s' if tokens > 1 else ''}" if tokens else None


def _rate(tokens_per_s: float | None) -> str | None:
    return f"{tokens_per_s:.{0 if tokens_per_s >= 10 else 1}f} tokens/s" if tokens_per_s else None
