"""Thoughts that a model writes before its answer, between marks, told apart from the answer."""

from typing import NamedTuple

from fastchat.engines.text import StopStrings

BEGIN, END = "<think>", "</think>"


class Told(NamedTuple):
    reasoning: str
    text: str


class ThoughtReader:
    """For one answer, in pieces. With `has_begun` the prompt ends inside the thoughts already."""

    def __init__(self, *, has_begun: bool) -> None:
        self._beginning: str | None = None if has_begun else ""  # held back while it may be the mark
        self._end = StopStrings([END])
        self._is_thinking = has_begun
        self._skips_space = True  # between a mark and what follows it

    def push(self, text: str) -> Told:
        if self._beginning is not None:
            self._beginning += text
            begun = self._beginning.lstrip()
            if BEGIN.startswith(begun):
                if begun != BEGIN:
                    return Told("", "")
            elif not begun.startswith(BEGIN):
                text, self._beginning, self._skips_space = self._beginning, None, False
                return Told("", text)
            text, self._beginning, self._is_thinking = begun.removeprefix(BEGIN), None, True
        if not self._is_thinking:
            return Told("", self._trimmed(text))
        thought = self._trimmed(self._end.push(text))
        if self._end.found is None:
            return Told(thought, "")
        self._is_thinking, self._skips_space = False, True
        return Told(thought, self._trimmed(self._end.rest))

    def flush(self) -> Told:
        """What was held back."""
        held, self._beginning = self._beginning or "", None
        return Told(self._end.flush(), held)

    def _trimmed(self, text: str) -> str:
        if self._skips_space:
            text = text.lstrip()
            self._skips_space = not text
        return text
