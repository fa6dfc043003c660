"""The reader's own conversations, beside the one that is open."""

from collections.abc import Callable, Sequence

import gradio as gr

from fastchat.access.people import Visitor
from fastchat.arena.records import Outcome
from fastchat.arena.service import Arena
from fastchat.arena.views import SummaryView
from fastchat.core.errors import FastChatError
from fastchat.web import words
from fastchat.web.markup import escaped

LISTED = 100

_SIGNS = {Outcome.LEFT: "A", Outcome.RIGHT: "B", Outcome.TIE: "=", Outcome.BOTH_BAD: "✕"}


class History:
    """What comes from the page is not believed: the arena asks whose a conversation is."""

    def __init__(self, arena: Arena, identify: Callable[[gr.Request], Visitor], name: str) -> None:
        self._arena = arena
        self._identify = identify
        self._name = name

    async def shown(self, request: gr.Request, search: str) -> str:
        who = self._identify(request)
        found = await self._arena.history(who, self._name, search=search.strip(), limit=LISTED)
        return listing(found, is_search=bool(search.strip()))

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
            gr.Warning(error.message)


def listing(summaries: Sequence[SummaryView], *, is_search: bool) -> str:
    if not summaries:
        return f'<p class="fc-none">{words.NOTHING_FOUND if is_search else words.NO_HISTORY}</p>'
    return f'<ul aria-label="{words.HISTORY}">{"".join(map(_item, summaries))}</ul>'


def _item(one: SummaryView) -> str:
    title = escaped(one.title or "…")
    sign = (
        f'<span class="fc-sign" title="{words.VOTED[one.outcome]}">{_SIGNS[one.outcome]}</span>' if one.outcome else ""
    )
    place = escaped(one.conversation_id)
    return (
        f'<li data-id="{place}" data-view="{one.mode}">'
        f'<a href="?view={one.mode}&amp;c={place}">{title}</a>{sign}'
        f'<button type="button" class="fc-rename" aria-label="{words.RENAME}: {title}"></button>'
        f'<button type="button" class="fc-delete" aria-label="{words.DELETE}: {title}"></button></li>'
    )
