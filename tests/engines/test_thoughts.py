"""Thoughts and answers are told apart, however the text is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.engines.thoughts import ThoughtReader, Told


def read(pieces: list[str], *, has_begun: bool = False) -> Told:
    reader = ThoughtReader(has_begun=has_begun)
    told = [reader.push(piece) for piece in pieces] + [reader.flush()]
    return Told("".join(part.reasoning for part in told), "".join(part.text for part in told))


@pytest.mark.parametrize(
    ("text", "has_begun", "told"),
    [
        ("Hello", False, Told("", "Hello")),
        (" \n Hello", False, Told("", " \n Hello")),
        ("<think>\nWell, 1 < 2.\n</think>\n\nYes.", False, Told("Well, 1 < 2.\n", "Yes.")),
        ("\n<think>a</think>b", False, Told("a", "b")),
        ("Well.</think> Yes.", True, Told("Well.", "Yes.")),
        ("Never done </thi", True, Told("Never done </thi", "")),
        ("<think></think>Yes", False, Told("", "Yes")),
        ("<thin", False, Told("", "<thin")),
        ("I say <think>no</think>", False, Told("", "I say <think>no</think>")),
        ("", False, Told("", "")),
    ],
)
def test_thoughts_stand_between_the_marks(text: str, has_begun: bool, told: Told) -> None:
    assert read([text], has_begun=has_begun) == told
    assert read(list(text), has_begun=has_begun) == told


@given(
    pieces=st.lists(st.sampled_from(["<", "think", ">", "</", "a", " ", "\n", "<think>", "</think>"]), max_size=12),
    has_begun=st.booleans(),
)
def test_the_pieces_do_not_matter(pieces: list[str], has_begun: bool) -> None:
    assert read(pieces, has_begun=has_begun) == read(["".join(pieces)], has_begun=has_begun)
