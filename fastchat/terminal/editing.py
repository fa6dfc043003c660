"""The line being typed: history, completion of commands and files, several lines, the mouse."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from fastchat.terminal.interrupts import Interrupted

_TAKE_FILES = ("save", "load", "image")


class LineEditor:
    """Enter sends and Alt-Enter begins a line; with `multiline` it is the other way round."""

    def __init__(self, history: Path, completions: Sequence[str], *, multiline: bool, mouse: bool) -> None:
        history.parent.mkdir(parents=True, exist_ok=True)
        history.touch(mode=0o600)  # it holds what was said
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(str(history)),
            auto_suggest=AutoSuggestFromHistory(),
            completer=CommandCompleter(completions),
            multiline=multiline,
            mouse_support=mouse,
            key_bindings=self._bindings(),
        )

    async def read(self, prompt: str) -> str | None:
        """
        Raises:
            Interrupted: Ctrl-C.
        """
        try:
            return await self._session.prompt_async(FormattedText([("bold ansigreen", prompt)]))
        except EOFError:
            return None
        except KeyboardInterrupt:
            raise Interrupted from None

    def toggle_multiline(self) -> bool:
        self._session.multiline = not self._session.multiline
        return bool(self._session.multiline)

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            if self._session.multiline:
                event.current_buffer.validate_and_handle()
            else:
                event.current_buffer.insert_text("\n")

        return bindings


class CommandCompleter(Completer):
    """Names of commands, and paths after the commands that take one."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        for prefix in ("/", "!!"):
            if not text.startswith(prefix) or "\n" in text:
                continue
            word, space, path = text.removeprefix(prefix).partition(" ")
            if not space:
                for name in self._names:
                    if name.startswith(word):
                        yield Completion(name, start_position=-len(word))
            elif word in _TAKE_FILES:
                yield from self._paths.get_completions(Document(path), complete_event)
