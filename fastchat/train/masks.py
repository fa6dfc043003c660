"""What is learned of a text: the answers of the model with the token that ends each, found by characters.

Character positions come from the template's own marks, or from rendering what stands before each answer; tokens follow
by the offsets that the tokenizer gives. Nothing is tokenised twice, so nothing can mismatch.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastchat.prompts.rendering import AnswerMarks

# Halves of a surrogate pair: no text that can be written as UTF-8 has one alone.
MARKS = AnswerMarks("\udc02", "\udc03")


class Span(NamedTuple):
    """Characters start ≤ i < end."""

    start: int
    end: int


class Rendered(NamedTuple):
    text: str
    answers: tuple[Span, ...]  # in order; each holds the text that ends it


def take_marks(marked: str) -> Rendered:
    """The text without `MARKS`, and what stood between them."""
    before, *parts = marked.split(MARKS.start)
    pieces, answers, length = [before], [], len(before)
    for part in parts:
        answer, _, after = part.partition(MARKS.end)
        if answer:
            answers.append(Span(length, length + len(answer)))
        pieces += (answer, after)
        length += len(answer) + len(after)
    return Rendered("".join(pieces), tuple(answers))


def end_of_answer(text: str, content: str, start: int, limit: int, stops: Sequence[str]) -> int:
    """Where the answer ends that begins at `start`: behind the first stop after what it says, at most at `limit`.

    Raises:
        ValueError: the template changed what is said, and a stop is in it.
    """
    said = content.strip()
    place = text.find(said, start, limit)
    if place < 0 and any(stop in said for stop in stops):
        raise ValueError("the answer holds a stop and is not in the text as it stands")
    after = start if place < 0 else place + len(said)
    ends = [found + len(stop) for stop in stops if (found := text.find(stop, after, limit)) >= 0]
    return min(ends, default=after)


def token_ranges(encoding: Any, answers: Sequence[Span]) -> list[Span]:
    """The answers in tokens instead of characters, of an encoding of `tokenizers`.

    Each place is looked for: a list of all offsets takes longer to make than all the rest here.
    """
    tokens = range(len(encoding))

    def begin(token: int) -> int:
        place: int = encoding.token_to_chars(token)[0]
        return place

    return [Span(*(bisect_left(tokens, place, key=begin) for place in answer)) for answer in answers]
