"""How a chat looks: where its lines come from, and how its answers appear.

`simple` prints what comes, also into a pipe; `rich` renders Markdown and edits lines; `programmatic` talks to a
program.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TextIO, TypeAlias

from fastchat.client.chat import ChatDelta, Message
from fastchat.terminal.answers import Answer

StyleName: TypeAlias = Literal["simple", "rich", "programmatic"]
USER, ASSISTANT = "USER", "ASSISTANT"  # FastChat's names for the two, in most of its prompt formats

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Style(Protocol):
    """Input and output of one chat. A command line is input like any other."""

    is_attended: bool  # somebody sits in front of it and can mend what went wrong
    ends_at_empty_line: bool
    ends_at_ctrl_c: bool  # as any program in a pipe does; else it stops the answer
    command_prefixes: Sequence[str]

    def welcome(self, model: str) -> None: ...

    async def read(self) -> str | None:
        """What the user says next; None when nothing more will come.

        Raises:
            Interrupted: Ctrl-C.
        """
        ...

    def begin(self) -> None:
        """An answer was asked for."""
        ...

    def add(self, delta: ChatDelta) -> None: ...

    def end(self, answer: Answer) -> None: ...

    def show(self, message: Message) -> None:
        """A message of a conversation that was loaded."""
        ...

    def say(self, text: str) -> None:
        """A word of the chat itself."""
        ...

    def complain(self, text: str) -> None: ...

    def toggle_multiline(self) -> bool:
        """Whether a message may have several lines from here on."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What the user wants of a style."""

    style: StyleName | None = None  # None: the best for where we are
    multiline: bool = False
    mouse: bool = False


def make_style(look: Look, completions: Sequence[str]) -> Style:
    """The style asked for; without a terminal at both ends, or with a dumb one, `rich` becomes `simple`."""
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    name = look.style or "rich"
    return _MAKERS["simple" if name == "rich" and not is_terminal else name](look, completions)


def harmless(text: str) -> str:
    """Without characters that would command the terminal instead of being shown by it."""
    return _CONTROLS.sub("", text)


def fit_for(stream: TextIO, text: str) -> str:
    """As it may be written there: on a terminal harmless, in a pipe as it is."""
    return harmless(text) if stream.isatty() else text


# Each imports what it needs when it is chosen.


def _simple(look: Look, _: Sequence[str]) -> Style:
    from fastchat.terminal.lines import InputStream
    from fastchat.terminal.simple import SimpleStyle

    return SimpleStyle(
        InputStream(sys.stdin.fileno()),
        sys.stdout,
        sys.stderr,
        multiline=look.multiline,
        is_attended=sys.stdin.isatty(),
        is_shown=sys.stdout.isatty(),
    )


def _rich(look: Look, completions: Sequence[str]) -> Style:
    from rich.console import Console
    from rich.theme import Theme

    from fastchat.core.places import cache_dir
    from fastchat.terminal.editing import LineEditor
    from fastchat.terminal.rich_style import RichStyle

    history = cache_dir() / "chat_history"
    # rich paints the background of code black, whatever colour the terminal has.
    console = Console(theme=Theme({"markdown.code": "bold cyan"}))
    return RichStyle(console, LineEditor(history, completions, multiline=look.multiline, mouse=look.mouse))


def _programmatic(_: Look, __: Sequence[str]) -> Style:
    from fastchat.terminal.lines import InputStream
    from fastchat.terminal.programmatic import ProgrammaticStyle

    return ProgrammaticStyle(InputStream(sys.stdin.fileno()), sys.stdout)


_MAKERS: Mapping[StyleName, Callable[[Look, Sequence[str]], Style]] = {
    "simple": _simple,
    "rich": _rich,
    "programmatic": _programmatic,
}
