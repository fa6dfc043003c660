"""The frame around the views: header, tabs, the list of conversations, and the queue they share.

A view is anything with a slug, a title and a `build`; it lays itself out and wires itself up.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import gradio as gr
from gradio.i18n import I18nData

from fastchat.web import theme
from fastchat.web.history import History
from fastchat.web.settings import Limits, Pace

# No spinner over what is on the page already, and nothing in Gradio's own API: ours is the gateway's.
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


class Frame:
    """What the views may use of the page around them."""

    def __init__(self, history: Any, search: Any, conversations: History) -> None:
        self._history = history
        self._search = search
        self._conversations = conversations

    def note_change(self, event: Any) -> None:
        """After this event the list of conversations is another."""
        event.then(self._conversations.shown, self._search, self._history, queue=False, **QUIET)


class View(Protocol):
    slug: str  # names the view in the address
    title: str | I18nData  # in the browser's language

    def build(self, page: gr.Blocks, frame: Frame) -> None:
        """Add the components and what they do. It is called inside of its tab."""


def build(
    views: Sequence[View],
    history: History,
    *,
    title: str,
    brand: str,
    pace: Pace,
    limits: Limits,
    follows_models: bool,
) -> gr.Blocks:
    """The page as Gradio blocks, its queue set up, ready to be mounted. `brand` is HTML."""
    with gr.Blocks(title=title, analytics_enabled=False, fill_height=True, fill_width=True) as page:
        with gr.Row(elem_id="fc-page"):
            with gr.Column(elem_id="fc-side", min_width=0):
                frame = _side(page, history)
            with gr.Column(elem_id="fc-main", min_width=0):
                with gr.Row(elem_id="fc-top"):
                    gr.HTML(theme.asset("brand.html").replace("{brand}", brand), elem_id="fc-brand", js_on_load=None)
                with gr.Tabs(elem_id="fc-tabs", elem_classes="fc-single" if len(views) == 1 else None):
                    for view in views:
                        with gr.Tab(
                            view.title, id=view.slug, elem_id=f"fc-tab-{view.slug}", elem_classes="fc-view"
                        ) as tab:
                            view.build(page, frame)
                        tab.select(None, js=f"() => fcShown('{view.slug}')", **QUIET)
        slugs = [view.slug for view in views]
        look_every_s = pace.models_tick_s if follows_models else 0
        page.load(None, js=f"() => fcStart({slugs}, {look_every_s})", **QUIET)
    page.max_threads = limits.answers_in_flight
    page.state_session_capacity = limits.sessions
    page.queue(default_concurrency_limit=None, max_size=limits.answers_waiting, api_open=False)
    # Left alone, the queue looks for work a thousand times a second: 4 % of a core for a page that nobody visits.
    page._queue.sleep_when_free = pace.queue_look_s
    page._queue.progress_update_sleep_when_free = pace.models_tick_s  # we show no progress bars
    return page


def _side(page: gr.Blocks, conversations: History) -> Frame:
    gr.HTML('<h2 data-text="history"></h2>', elem_id="fc-side-head", js_on_load=None)
    search = gr.Textbox(
        label=I18nData("search"),
        placeholder=I18nData("search"),
        show_label=False,
        container=False,
        elem_id="fc-search",
    )
    listed = gr.HTML(elem_id="fc-history", js_on_load=theme.asset("history.js"))
    gr.HTML(theme.asset("links.html"), elem_id="fc-links", js_on_load=None)
    search.change(conversations.shown, search, listed, queue=False, trigger_mode="always_last", **QUIET)
    listed.edit(conversations.rename, search, listed, queue=False, **QUIET)
    listed.delete(conversations.delete, search, listed, queue=False, **QUIET)
    page.load(conversations.shown, search, listed, queue=False, **QUIET)
    return Frame(listed, search, conversations)
