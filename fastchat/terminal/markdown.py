"""Markdown that is still being written: blocks that are finished, and the last one, which may still change.

A finished block can be printed for good. A block is finished when another one begins on a complete line below it: the
line being written may yet turn out to belong to the block above, as `#` does once it becomes `#hashtag`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple, TypeAlias

from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import Heading, Markdown
from rich.styled import Styled

Lines: TypeAlias = list[str]  # as printed, with their escape codes, without line ends
Render: TypeAlias = Callable[[str], Lines]  # draws one block


_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_FILLED = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:4[0-8]|10[0-7])[;m]")  # a background: the edge of a code block


class Frame(NamedTuple):
    finished: Lines  # to be printed once, in this order
    unfinished: Lines  # to be shown until the next frame


class Blocks:
    """Text in, finished blocks out."""

    def __init__(self) -> None:
        self._parser = _parser()
        self._parser.core.ruler.enableOnly(["normalize", "block"])
        self.unfinished = ""

    def push(self, text: str) -> list[str]:
        self.unfinished += text
        if "\n" not in text:
            return []
        lines = self.unfinished.split("\n")
        starts = self._starts("\n".join(lines[:-1]))[1:]
        blocks = ["\n".join(lines[start:end]) for start, end in zip([0, *starts], starts, strict=False)]
        self.unfinished = "\n".join(lines[starts[-1] :]) if starts else self.unfinished
        return blocks

    def _starts(self, text: str) -> list[int]:
        """The first line of each block."""
        return [token.map[0] for token in self._parser.parse(text) if token.level == 0 and token.map]


class MarkdownView:
    """Text in, lines to print out. `follows` says that something stands above it already."""

    def __init__(self, render: Render, *, follows: bool = False) -> None:
        self._render = render
        self._blocks = Blocks()
        self._unread = ""
        self.is_empty = not follows  # nothing stands above the next block

    def push(self, text: str) -> None:
        # Read when it is drawn: reading begins at the last block anew, which for each line of a long one is too much.
        self._unread += text

    def frame(self) -> Frame:
        """What has been finished since the last frame, and what has not been."""
        finished = self._read()
        unfinished = self._render(self._blocks.unfinished)
        return Frame(finished, ["", *unfinished] if unfinished and not self.is_empty else unfinished)

    def finish(self) -> Lines:
        """The rest: nothing comes any more."""
        rest = self._read() + self._spaced(self._render(self._blocks.unfinished))
        self._blocks.unfinished = ""
        return rest

    def _read(self) -> Lines:
        """Draw the blocks that what has come since finishes."""
        text, self._unread = self._unread, ""
        return [line for block in self._blocks.push(text) for line in self._spaced(self._render(block))]

    def _spaced(self, lines: Lines) -> Lines:
        """One empty line between blocks, none before the first; blocks that show nothing take no place."""
        if not lines:
            return []
        spaced = lines if self.is_empty else ["", *lines]
        self.is_empty = False
        return spaced


class AnswerView:
    """Thoughts and text as they come, each kind drawn in its own way."""

    def __init__(self, renderers: Mapping[str, Render]) -> None:
        self._renderers = renderers
        self._kind = ""
        self._view = MarkdownView(lambda _: [])
        self._finished: Lines = []

    def push(self, kind: str, text: str) -> None:
        if kind != self._kind:
            self._finished += self._view.finish()
            self._kind, self._view = kind, MarkdownView(self._renderers[kind], follows=not self._view.is_empty)
        self._view.push(text)

    def frame(self) -> Frame:
        finished, self._finished = self._finished, []
        current = self._view.frame()
        return Frame(finished + current.finished, current.unfinished)

    def finish(self) -> Lines:
        finished, self._finished = self._finished, []
        return finished + self._view.finish()


def renderer(console: Console, style: str = "none") -> Render:
    """Draws a block for this console."""

    def render(block: str) -> Lines:
        if not block.strip():
            return []
        with console.capture() as capture:
            console.print(Styled(_Markdown(block), style))
        return _trimmed(capture.get().split("\n"))

    return render


def _trimmed(lines: Sequence[str]) -> Lines:
    """Without the empty lines that some elements put around themselves, and without padding that shows nothing."""
    lines = [line.rstrip(" ") for line in lines]
    filled = [number for number, line in enumerate(lines) if _STYLES.sub("", line).strip() or _FILLED.search(line)]
    return list(lines[filled[0] : filled[-1] + 1]) if filled else []


def _parser() -> MarkdownIt:
    # Raw HTML is text here: rich would leave it out, and an answer that is HTML would be empty.
    return _Parser("commonmark", {"html": False}).enable(["strikethrough", "table"])


class _Parser(MarkdownIt):
    def normalizeLinkText(self, link: str) -> str:
        """An address as it was written. Unpacked, `%1B` would be a character that commands the terminal."""
        return link


class _Heading(Heading):
    LEVEL_ALIGN: ClassVar = dict.fromkeys(Heading.LEVEL_ALIGN, "left")


class _Markdown(Markdown):
    elements: ClassVar = {**Markdown.elements, "heading_open": _Heading}

    def __init__(self, markup: str) -> None:
        # A link shows where it leads: the text may claim anything.
        super().__init__("", hyperlinks=False)
        self.parsed = _parser().parse(markup)
