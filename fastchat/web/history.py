"""The reader's own conversations, beside the one that is open."""

from collections.abc import Callable, Sequence

import gradio as gr

from fastchat.access.people import Visitor
from fastchat.arena.records import Outcome
from fastchat.arena.service import Arena
from fastchat.arena.views import SummaryView
from fastchat.core.errors import FastChatError
from fastchat.web.markup import escaped
from fastchat.web.refusals import refusal
from fastchat.web.texts import Texts, Wording

LISTED = 100

_SIGNS = {Outcome.LEFT: "A", Outcome.RIGHT: "B", Outcome.TIE: "=", Outcome.BOTH_BAD: "✕"}


class History:
    """What comes from the page is not believed: the arena asks whose a conversation is."""

    def __init__(self, arena: Arena, identify: Callable[[gr.Request], Visitor], name: str, wording: Wording) -> None:
        self._arena = arena
        self._identify = identify
        self._name = name
        self._wording = wording

    async def shown(self, request: gr.Request, search: str) -> str:
        who = self._identify(request)
        found = await self._arena.history(who, self._name, search=search.strip(), limit=LISTED)
        return listing(found, self._wording.of(request), is_search=bool(search.strip()))

    async def rename(self, request: gr.Request, renamed: gr.EventData, search: str) -> str:
        title = str(renamed._data.get("title", "")).strip()
        if title:
            await self._quietly(self._arena.rename, request, renamed, title)
        return await self.shown(request, search)

    async def delete(self, request: gr.Request, deleted: gr.EventData, search: str) -> str:
        await self._quietly(self._arena.delete, request, deleted)
        return await self.shown(request, search)

    async def _quietly(self, act: Callable[..., object], request: gr.Request, event: gr.EventData, *more: str) -> None:
        """If it fails, the list that follows shows how things stand."""
        try:
            await act(self._identify(request), str(event._data.get("id", "")), *more)  # type: ignore[misc]
        except FastChatError as error:
            gr.Warning(refusal(error, self._wording.of(request)))


def listing(summaries: Sequence[SummaryView], texts: Texts, *, is_search: bool) -> str:
    if not summaries:
        return f'<p class="fc-none">{texts.html("nothing_found" if is_search else "no_history")}</p>'
    items = "".join(_item(one, texts) for one in summaries)
    return f'<ul aria-label="{texts.html("history")}">{items}</ul>'


def _item(one: SummaryView, texts: Texts) -> str:
    title = escaped(one.title or "…")
    said = texts.html(f"voted_{one.outcome}") if one.outcome else ""
    sign = f'<span class="fc-sign" title="{said}">{_SIGNS[one.outcome]}</span>' if one.outcome else ""
    place = escaped(one.conversation_id)
    return (
        f'<li data-id="{place}" data-view="{one.mode}">'
        f'<a href="?view={one.mode}&amp;c={place}">{title}</a>{sign}'
        f'<button type="button" class="fc-rename" aria-label="{texts.html("rename")}: {title}"></button>'
        f'<button type="button" class="fc-delete" aria-label="{texts.html("delete")}: {title}"></button></li>'
    )
