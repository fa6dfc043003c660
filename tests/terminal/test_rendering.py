"""What scrolls away was right when it did, and nothing is printed twice."""

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.markdown import Markdown

from fastchat.terminal.markdown import AnswerView, Blocks, Lines, MarkdownView, renderer
from fastchat.terminal.repainting import LivePart
from tests.terminal.screens import Screen

DOCUMENT = """# A heading

Some *text* that is
**longer** than a line of this small window, and `code`.
Title
---
- one
- two

  still two
1. first
2. second

| a | b |
|---|---|
| 1 | 2 |

```python
def f(x):

    return x  # a comment

# not a heading
```
> quoted
lazily

    indented

    code
<div>kept</div>

***

#hashtag is no heading
#
The end
"""
PIECES = [
    "#",
    "# ",
    "\n",
    "\n\n",
    "- ",
    "1. ",
    "a",
    "b c",
    "`",
    "```",
    "    ",
    "  ",
    "|",
    "|-|-|\n",
    "> ",
    "---",
    "*",
    "===",
]
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.just(DOCUMENT))


def plain(block: str) -> Lines:
    return block.strip("\n").split("\n") if block.strip() else []


def console(width: int = 40) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system="standard")


def cut(text: str, data: st.DataObject) -> list[str]:
    places = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def at_once(text: str) -> Lines:
    view = MarkdownView(plain)
    view.push(text)
    return view.finish()


@given(texts, st.data())
@settings(deadline=None)
def test_blocks_are_the_text_whole_and_in_order(text: str, data: st.DataObject) -> None:
    blocks = Blocks()
    finished = [block for piece in cut(text, data) for block in blocks.push(piece)]
    assert "\n".join([*finished, blocks.unfinished]) == text


@given(texts, st.data())
@settings(deadline=None)
def test_how_the_text_was_cut_changes_nothing_of_what_is_printed(text: str, data: st.DataObject) -> None:
    view = MarkdownView(plain)
    printed: Lines = []
    for piece in cut(text, data):
        view.push(piece)
        printed += view.frame().finished
    assert printed + view.finish() == at_once(text)


@given(texts, st.data(), st.integers(2, 12))
@settings(deadline=None)
def test_what_is_on_the_screen_in_the_end_is_the_answer_once(text: str, data: st.DataObject, rows: int) -> None:
    view, live, screen = MarkdownView(plain), LivePart(), Screen(rows)
    for piece in cut(text, data):
        view.push(piece)
        screen.write(live.repaint(*view.frame(), rows))
        final = at_once(text)
        assert screen.history == final[: len(screen.history)], "what cannot be changed any more was not final"
    screen.write(live.repaint(view.finish(), [], rows))
    expected = at_once(text)
    while expected and not expected[-1]:
        expected.pop()
    assert screen.everything == expected


def test_the_unfinished_end_is_shown_as_far_as_it_fits() -> None:
    live, screen = LivePart(), Screen(4)
    screen.write(live.repaint(["done"], [f"line {number}" for number in range(9)], 4))
    assert screen.history == ["done"]
    assert screen.window == ["line 6", "line 7", "line 8", ""]


def test_lines_that_stay_the_same_are_not_written_again() -> None:
    live, screen = LivePart(), Screen(10)
    screen.write(live.repaint([], ["same", "old"], 10))
    change = live.repaint([], ["same", "new"], 10)
    assert "new" in change
    assert "same" not in change
    assert live.repaint([], ["same", "new"], 10) == ""


def test_a_document_looks_as_rich_prints_it_but_for_empty_lines() -> None:
    target = console()
    with target.capture() as capture:
        target.print(Markdown(DOCUMENT.replace("<div>kept</div>\n", "").replace("# A heading\n", "")))
    view = MarkdownView(renderer(console()))
    view.push(DOCUMENT.replace("<div>kept</div>\n", "").replace("# A heading\n", ""))
    assert words(view.finish()) == words(capture.get().split("\n"))


def words(lines: Lines) -> list[str]:
    shown = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in lines]
    return [line for line in shown if line]


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("<div>kept</div>", "<div>kept</div>"),
        ("[bank](http://elsewhere.example)", "bank (http://elsewhere.example)"),
        ("# Left", "Left"),
        ("```\nunclosed", " unclosed"),
    ],
)
def test_nothing_of_an_answer_is_hidden(markdown: str, shown: str) -> None:
    lines = renderer(console())(markdown)
    plain_text = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in lines]
    assert shown in plain_text


def test_thoughts_and_text_are_drawn_in_their_own_way_in_the_order_they_come() -> None:
    view = AnswerView({"thought": lambda block: [f"~{block}"], "text": lambda block: [f"={block}"] if block else []})
    view.push("thought", "Hm.")
    assert view.frame().unfinished == ["~Hm."]
    view.push("text", "Yes")
    assert view.frame() == (["~Hm."], ["", "=Yes"])
    assert view.finish() == ["", "=Yes"]


@pytest.mark.parametrize("address", ["http://a/%1B%5D52;c;AA%1B%5C", "http://a/%C2%9B2J", "mailto:a%1b@b.example"])
def test_an_address_cannot_command_the_terminal(address: str) -> None:
    view = MarkdownView(renderer(Console(file=io.StringIO(), force_terminal=True, width=100)))
    view.push(f"<{address}>")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", "".join(view.finish()))
    assert address in shown
    assert shown.isprintable()


def test_nothing_is_drawn_between_two_frames() -> None:
    drawn: list[str] = []

    def render(block: str) -> Lines:
        drawn.append(block)
        return [block.strip()]

    view = MarkdownView(render)
    for line in ["# one\n", "# two\n", "# thr"]:
        view.push(line)
    assert drawn == []
    assert view.frame() == (["# one"], ["", "# two\n# thr"])
