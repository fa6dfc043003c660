"""The page in its reader's language from its first byte on.

Gradio asks the browser for a language as soon as it starts, knows only the browser's first wish, and nothing of an
arena's own language. So the choice is made here, as for everything else that is said (`Wording`), written into the
document, and told to Gradio as the browser's. Previews of links get our name here instead of Gradio's.
"""

import json
import re
from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastchat.web.texts import Texts, Wording

# What our own HTML and scripts say; Gradio's components bring their labels along.
IN_SCRIPTS = (
    "message", "send", "stop", "attach", "remove", "reset", "vote", "title", "history", "delete_sure", "link_copied",
    "keys", "model_a", "model_b", "chat", "chat_a", "chat_b", "api_docs", "copy", "regenerate",
    "liked", "disliked", "examples", "draw_question", "sign_in", "sign_out",
    *(f"example_{name}_{part}" for name in ("explain", "code", "formula", "message") for part in ("title", "text")),
    *(f"welcome_{mode}_{part}" for mode in ("battle", "side_by_side", "direct") for part in ("title", "text")),
)  # fmt: skip

_PREVIEW = re.compile(rb"<meta\s+(?:property=\"og:|name=\"twitter:)[^\"]*\"\s+content=\"[^\"]*\"\s*/?>\s*")
_TITLE = re.compile(rb"<meta\s+property=\"og:title\"\s+content=\"([^\"]*)\"")
_DESCRIPTION = b"Chat with the models that run on this server."  # as in head.html
_CONFIG = b"window.gradio_config"  # from here on: data


class Spoken:
    """Innermost around Gradio's app, where its page is not compressed yet."""

    def __init__(self, app: ASGIApp, wording: Wording) -> None:
        self._app = app
        self._wording = wording
        self._heads: MutableMapping[str, bytes] = {}  # by language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Translated(self, Request(scope), send))

    def translated(self, request: Request, document: bytes) -> bytes:
        texts = self._wording.of(request)
        head = self._heads.setdefault(texts.language, _head(texts))
        document = _previewed(document)
        return document.replace(b'lang="en"', b'lang="%s"' % texts.language.encode(), 1).replace(b"<head>", head, 1)


class _Translated:
    """Holds back a page until it is whole, and lets everything else pass."""

    def __init__(self, spoken: Spoken, request: Request, send: Send) -> None:
        self._spoken = spoken
        self._request = request
        self._send = send
        self._start: Message | None = None
        self._document = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._document += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_whole(self._start)

    async def _send_whole(self, start: Message) -> None:
        body = self._spoken.translated(self._request, bytes(self._document))
        headers: list[Any] = [
            (name, str(len(body)).encode() if name == b"content-length" else value) for name, value in start["headers"]
        ]
        headers.append((b"vary", b"accept-language"))
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _is_page(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/html") for name, value in start["headers"])


def _previewed(document: bytes) -> bytes:
    """With the page's name and our words where links to it are shown; the last title is the page's, others Gradio's."""
    top, config, rest = document.partition(_CONFIG)
    titles = _TITLE.findall(top)
    if not titles:
        return document
    ours = (
        b'<head><meta property="og:title" content="%s"><meta property="og:type" content="website">'
        b'<meta property="og:description" content="%s">'
    ) % (titles[-1], _DESCRIPTION)
    return _PREVIEW.sub(b"", top).replace(b"<head>", ours, 1) + config + rest


def _head(texts: Texts) -> bytes:
    said = {"language": texts.language, "strings": {key: texts(key) for key in IN_SCRIPTS}}
    script = json.dumps(said, ensure_ascii=False).replace("<", "\\u003c")
    return (
        f"<head><script>window.fcTexts = {script};"
        'Object.defineProperty(navigator, "language", { get: () => fcTexts.language });</script>'
    ).encode()
