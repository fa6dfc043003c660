"""A conversation as the server knows it.

It lives in Gradio's session state, which never leaves the process. What the browser sends back as the chat log is not
read: whoever can open the developer tools could put words into the model's mouth.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypedDict


class Ending(StrEnum):
    COMPLETE = "complete"
    CUT_OFF = "cut off"  # at the limit of tokens
    STOPPED = "stopped"
    FAILED = "failed"


class Message(TypedDict):
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(slots=True)
class Answer:
    """One answer, from the question on. Times are readings of one monotonic clock."""

    model: str
    sent_at: float | None = None
    text: str = ""
    reasoning: str = ""
    first_token_at: float | None = None
    ended_at: float | None = None
    completion_tokens: int | None = None
    ending: Ending | None = None
    failure: str = ""
    break_off: Callable[[], object] = field(default=lambda: None, repr=False)  # set by whoever writes the answer

    def stop(self) -> None:
        """Break the writing off; if it has not begun, keep it from beginning."""
        if self.has_begun:
            self.break_off()
        elif self.is_being_written:
            self.end(Ending.STOPPED)

    def begin(self, *, now: float) -> None:
        self.sent_at = now

    def grow(self, *, text: str, reasoning: str, now: float) -> None:
        if self.first_token_at is None and (text or reasoning):
            self.first_token_at = now
        self.text += text
        self.reasoning += reasoning

    def end(self, ending: Ending, *, now: float | None = None, failure: str = "") -> None:
        self.ending, self.ended_at, self.failure = ending, now, failure

    @property
    def has_begun(self) -> bool:
        return self.sent_at is not None

    @property
    def is_being_written(self) -> bool:
        return self.ending is None

    @property
    def thought(self) -> str:
        return self.reasoning or _split_thought(self.text)[0]

    @property
    def said(self) -> str:
        """The answer without the thoughts that some models write into it."""
        return _split_thought(self.text)[1]

    @property
    def time_to_first_token_s(self) -> float | None:
        if self.first_token_at is None or self.sent_at is None:
            return None
        return self.first_token_at - self.sent_at

    @property
    def tokens_per_s(self) -> float | None:
        """How fast it was written once it had begun; the first token belongs to the time before."""
        if not self.completion_tokens or self.first_token_at is None or self.ended_at is None:
            return None
        writing_s = self.ended_at - self.first_token_at
        return (self.completion_tokens - 1) / writing_s if self.completion_tokens > 1 and writing_s > 0 else None


@dataclass(frozen=True, slots=True)
class Turn:
    question: str
    answer: Answer


@dataclass(slots=True)
class Conversation:
    turns: list[Turn] = field(default_factory=list)

    @property
    def current(self) -> Answer | None:
        return self.turns[-1].answer if self.turns else None

    @property
    def is_being_answered(self) -> bool:
        return self.current is not None and self.current.is_being_written

    def ask(self, question: str, answer: Answer) -> None:
        self.stop()
        self.turns.append(Turn(question, answer))

    def cut_back(self, turns: int) -> None:
        """Keep the first `turns` turns."""
        self.stop()
        del self.turns[turns:]

    def take_back(self) -> str:
        """Remove the last turn; returns its question."""
        if not self.turns:
            return ""
        self.stop()
        return self.turns.pop().question

    def stop(self) -> None:
        if self.current is not None:
            self.current.stop()

    def messages(self, system: str) -> list[Message]:
        """What the model is sent for the last question.

        Turns that came to nothing are left out: many prompt formats refuse two questions in a row.
        """
        messages: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
        for turn in self.turns[:-1]:
            if turn.answer.said:
                messages += _pair(turn)
        if self.turns:
            messages.append({"role": "user", "content": self.turns[-1].question})
        return messages


def _pair(turn: Turn) -> list[Message]:
    return [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer.said}]


def _split_thought(text: str) -> tuple[str, str]:
    """(thought, answer). Some prompts end with the opening tag, so an answer may hold the closing one alone."""
    before, closed, after = text.partition("</think>")
    if not closed and not text.lstrip().startswith("<think>"):
        return "", text
    return before.strip().removeprefix("<think>").strip(), after.lstrip("\n")
