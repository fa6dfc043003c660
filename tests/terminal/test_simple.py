"""What the plain style writes where, told without a terminal."""

import io

import pytest

from fastchat.client.chat import ChatDelta
from fastchat.terminal.answers import Answer
from fastchat.terminal.lines import InputStream
from fastchat.terminal.simple import SimpleStyle

COMMAND = "\x1b]0;owned\x07"


@pytest.mark.parametrize("is_shown", [False, True])
def test_only_a_pipe_gets_the_answer_as_it_is(is_shown: bool) -> None:
    out, aside = io.StringIO(), io.StringIO()
    style = SimpleStyle(InputStream(0), out, aside, is_attended=True, is_shown=is_shown)
    style.begin()
    style.add(ChatDelta(reasoning=f"thought{COMMAND}"))
    style.add(ChatDelta(text=f"text{COMMAND}"))
    style.end(Answer(0.0))
    style.complain(f"complaint{COMMAND}")
    assert ("\x1b" in out.getvalue()) == (not is_shown)
    assert "\x1b" not in aside.getvalue()
    shown = out.getvalue() + aside.getvalue()
    assert [word for word in ("thought", "text", "complaint") if word not in shown] == []
