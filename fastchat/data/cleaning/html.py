"""Web pages that were saved as conversations, made Markdown again.

ShareGPT's answers are the HTML that ChatGPT's page showed. What people wrote is text, in which `<div>` and `List<int>`
are what they meant: it is left alone, unless the page's own marks are in it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from html import escape, unescape
from typing import Any

from fastchat.data.cleaning.rules import Changed
from fastchat.data.packages import package
from fastchat.data.records import Conversation, Message
from fastchat.data.texts import excerpt, text_of, with_text

_BLOCK = r"div|p|pre|ol|ul|h[1-6]|table|blockquote|section|article"
_FRAGMENT = re.compile(rf"\s*<({_BLOCK})\b[^<>]*>.*</(?:{_BLOCK})>\s*\Z", re.DOTALL | re.IGNORECASE)
_OF_THE_PAGE = re.compile(r"<div[^<>]*\bclass=\"[^\"<>]*(?:\bmarkdown\b|\bprose\b|whitespace-pre-wrap|items-start)")
_CONTROLS = {name: re.compile(rf"<{name}\b[^<>]*>.*?</{name}>", re.DOTALL) for name in ("button", "svg")}
_DRAWN = ".katex-html"  # a formula's second form, of many small boxes
_FORMULA = re.compile(
    r"<math\b(?:(?!</?math\b).)*<annotation encoding=\"application/x-tex\">([^<>]*)</annotation>[^<>]*"
    r"(?:</semantics>)?</math>",
    re.DOTALL,
)
_COUNTER = re.compile(r"<span[^<>]*>\s*\d+ / \d+\s*</span>")  # which of several answers is shown
_COUNTER_TEXT = re.compile(r"\A\d+ / \d+(?=\n|[^\W\d]|\Z)")
_PRE = re.compile(r"<pre\b[^<>]*>(.*?)</pre>", re.DOTALL)
_CODE = re.compile(r"<code\b([^<>]*)>")
_LANGUAGE = re.compile(r"\blang(?:uage)?-([\w+#.-]+)")
_TAG = re.compile(r"<[^<>]+>")
_COPY = r"(?:Copy code|CopyEdit|Copy)"
_HEADER = re.compile(rf"([\w+#.-]*?)\s*{_COPY}?\Z")
# In fences that other converters made: "```pythonCopy code", or that as the first line inside.
_COPY_IN_FENCE = re.compile(r"^([ \t]*```)[ \t]*\n?[ \t]*([\w+#.-]*?)(?:Copy code|CopyEdit)+[ \t]*\n?", re.MULTILINE)
_EMPTY_FENCE = re.compile(r"^[ \t]*```[\w+#.-]*\n\s*```[ \t]*(?:\n|\Z)", re.MULTILINE)
_COPIED = re.compile(r"Copy\d+ chars / \d+ words")
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class HtmlToMarkdown:
    name: str = "html"

    def apply(self, conversation: Conversation) -> Changed | None:
        messages = [_cleaned(message) for message in conversation.messages]
        changed = [(old, new) for old, new in zip(conversation.messages, messages, strict=True) if old is not new]
        if not changed:
            return None
        was_page = any(_is_page(old) for old, _ in changed)
        return Changed(
            replace(conversation, messages=messages),
            "made Markdown" if was_page else "buttons of the page removed",
            excerpt(text_of(changed[0][0])),
        )


def markdown(page: str) -> str:
    """Of an HTML fragment: fences with their language, tables, lists; no buttons, no counters."""
    html = _COUNTER.sub("", page) if " / " in page else page
    html = _without_controls(_replaced(_PRE, "</pre>", _code_block, html))
    has_formulas = "<math" in html
    if has_formulas:
        html = _FORMULA.sub(r"$\1$", html)
    # The library takes longer to read its options than to convert a message; only where they matter does it get any.
    text: str = _library().convert(html, _without_drawings() if has_formulas else None).content or ""
    return _BLANK_LINES.sub("\n\n", _COUNTER_TEXT.sub("", text.strip())).strip()


@cache
def _library() -> Any:
    return package("html_to_markdown", "Making Markdown of HTML")


@cache
def _without_drawings() -> Any:
    return _library().ConversionOptions(exclude_selectors=[_DRAWN])


def _cleaned(message: Message) -> Message:
    if _is_page(message):
        message = with_text(message, markdown)
    return with_text(message, _without_buttons)


def _is_page(message: Message) -> bool:
    text = text_of(message)
    if "</" not in text or not _FRAGMENT.match(text):
        return False
    return message["role"] == "assistant" or bool(_OF_THE_PAGE.search(text))


def _code_block(match: re.Match[str]) -> str:
    """The code alone, in `<code class="language-…">`: the libraries would leave the header's words inside."""
    inside = match[1]
    code, end = _CODE.search(inside), inside.rfind("</code>")
    if code is None or end < code.end():
        return f"<pre><code>{_without_controls(inside)}</code></pre>"
    named = _LANGUAGE.search(code[1])
    header = unescape(_TAG.sub("", _without_controls(inside[: code.start()]))).strip()
    of_header = _HEADER.match(header)
    language = named[1] if named else of_header[1] if of_header else ""
    kind = f' class="language-{escape(language)}"' if language else ""
    return f"<pre><code{kind}>{inside[code.end() : end]}</code></pre>"


def _without_controls(html: str) -> str:
    for name, control in _CONTROLS.items():
        html = _replaced(control, f"</{name}>", "", html)
    return html


def _replaced(element: re.Pattern[str], end_tag: str, by: str | Callable[[re.Match[str]], str], html: str) -> str:
    """No further than to the last end tag: each of many elements that nothing ends would have the rest searched."""
    end = html.rfind(end_tag) + len(end_tag)
    return html if end < len(end_tag) else element.sub(by, html[:end]) + html[end:]


def _without_buttons(text: str) -> str:
    if "Copy" not in text:
        return text
    text = _COPIED.sub("", text)
    text, found = _COPY_IN_FENCE.subn(r"\1\2\n", text)
    return _EMPTY_FENCE.sub("", text).strip() if found else text
