"""A conversation for whoever has its link: plain HTML from the store, without a script."""

from html import escape
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

from fastchat.arena.records import FilePart, Part, Side
from fastchat.arena.views import ConversationView
from fastchat.web import theme
from fastchat.web.refusals import failure
from fastchat.web.rendering import answer_of, facts, split_thought, words_of
from fastchat.web.texts import Texts

# Nothing is loaded but our own style and our own images, and nothing runs.
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "cache-control": "no-store",  # it can be withdrawn
    "x-robots-tag": "noindex",
}


def _markdown() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    reader.disable("image")  # a picture elsewhere would learn who reads
    reader.core.ruler.push("outside_links", _mark_links)
    return reader


def _mark_links(state: StateCore) -> None:
    for block in state.tokens:
        for token in block.children or ():
            if token.type == "link_open":
                token.attrs |= {"rel": "noopener noreferrer nofollow", "target": "_blank"}


def shared_page(view: ConversationView, texts: Texts, *, root: str, files: str, product: str, style: str = "") -> str:
    """`root` leads from this page to the front page, `files` to what was attached. `style`: the arena's own colours."""
    reader = _markdown()
    columns = "".join(_column(view, side, reader, files, texts) for side in (Side.LEFT, Side.RIGHT)[: len(view.models)])
    verdict = f'<p class="verdict">{texts.html(f"verdict_{view.vote.outcome}")}</p>' if view.vote else ""
    title = escape(view.title or texts("shared_title"))
    return f"""<!doctype html>
<html lang="{texts.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · {escape(product)}</title>
<style>{theme.colours()}{style}{theme.asset("shared.css")}</style>
</head>
<body>
<header><a href="{escape(root)}" class="brand">{escape(product)}</a><p>{texts.html("shared_note")}</p></header>
<main><h1>{title}</h1>{verdict}<div class="panes panes-{len(view.models)}">{columns}</div></main>
</body>
</html>
"""


def _column(view: ConversationView, side: Side, reader: MarkdownIt, files: str, texts: Texts) -> str:
    at = 0 if side is Side.LEFT else 1
    letter = f"{texts.html(('model_a', 'model_b')[at])}: " if len(view.models) > 1 else ""
    head = f"<h2>{letter}{escape(view.models[at] or '')}</h2>"
    turns = []
    for turn in view.turns:
        turns.append(f'<div class="question">{_question(turn.question, files)}</div>')
        if answer := answer_of(turn, side):
            thought, said = (answer.reasoning, answer.text) if answer.reasoning else split_thought(answer.text)
            if thought:
                turns.append(f"<details><summary>{texts.html('reasoning')}</summary>{reader.render(thought)}</details>")
            turns.append(f'<div class="answer">{reader.render(said)}</div>')
            if answer.failure:
                turns.append(f'<p class="failure">{failure(answer.failure, texts)}</p>')
            turns.append(f'<p class="facts">{escape(facts(answer, texts))}</p>')
    return (
        f'<section tabindex="0" aria-label="{letter}{escape(view.models[at] or "")}">{head}{"".join(turns)}</section>'
    )


def _question(parts: tuple[Part, ...], files: str) -> str:
    attached = "".join(_file(part, files) for part in parts if isinstance(part, FilePart))
    text = words_of(parts)
    return attached + (f"<p>{escape(text)}</p>" if text else "")


def _file(part: FilePart, files: str) -> str:
    name = escape(part.name or "file")
    if part.type == "image":
        return f'<img src="{escape(files)}{quote(part.file_id)}" alt="{name}">'
    return f'<p class="file">{name}</p>'
