"""A view of the page in which one or two models answer: battles, side by side, chat."""

import functools
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from fastchat.arena.config import ArenaConfig
from fastchat.arena.records import Mode
from fastchat.web.chat import Backend, Changes, Chat, Handler, in_words
from fastchat.web.layout import OUTCOMES, Widgets, lay_out, shown_parts
from fastchat.web.page import QUIET, Frame
from fastchat.web.session import Session
from fastchat.web.settings import Limits
from fastchat.web.texts import Wording

# Values are sent as they are: `rendering` makes them in the form that the browser wants.
PLAIN = {**QUIET, "postprocess": False}


class Conversations:
    def __init__(self, mode: Mode, arena: ArenaConfig, backend: Backend, limits: Limits, answers_at_once: int | None):
        self.slug = mode.value
        self.title = I18nData(f"tab_{mode}")
        self._mode = mode
        self._arena = arena
        self._backend = backend
        self._limits = limits
        self._answers_at_once = answers_at_once

    def build(self, page: gr.Blocks, frame: Frame) -> None:
        widgets = lay_out(self._mode, self._arena, self._limits)
        chat = Chat(self._mode, widgets, self._backend, system=self._arena.system)
        _wire(page, widgets, chat, frame, self._backend.wording, self._answers_at_once)


def _wire(
    page: gr.Blocks, on: Widgets, chat: Chat, frame: Frame, wording: Wording, answers_at_once: int | None
) -> None:
    session = gr.State(Session())
    changed = list(shown_parts(on))
    inputs = [session, *on.pickers, *on.settings]
    logs = [pane.log for pane in on.panes]

    def handle(trigger: Any, handler: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """Without the queue: what it changes is there at once."""
        settings = {"outputs": changed, "queue": False, **PLAIN, **options}
        return gr.on([trigger], _applied(handler, on, wording), list(given), **settings)

    def written(event: Any) -> None:
        """Follow what has been asked on the page, to its end and beyond."""
        ended = event.then(None, None, None, js=f"() => fcShowEnd('{on.place.elem_id}')", **QUIET).then(
            chat.write,
            session,
            logs,
            # A reader may ask again while the last answer is being written; the handler knows which of the two counts.
            trigger_mode="multiple",
            concurrency_limit=answers_at_once,
            concurrency_id="answers",
            **PLAIN,
        )
        ended = ended.then(_applied(chat.settle, on, wording), session, changed, queue=False, **PLAIN)
        ended.then(chat.command, inputs, on.command, **QUIET)
        frame.note_change(ended)

    asked = handle(on.composer.submit, chat.ask, session, on.composer, *inputs[1:], outputs=[*changed, on.composer])
    written(asked)
    written(handle(on.welcome.select, chat.ask_example, *inputs))
    for pane in on.panes:
        written(handle(pane.log.retry, chat.ask_again, session))
        written(handle(pane.log.edit, chat.ask_differently(pane.side), session))
    written(handle(on.open.click, chat.open, session, on.place, js="() => [null, fcPlace()]"))

    on.composer.stop(chat.stop, session, queue=False, **QUIET)
    for outcome, button in zip(OUTCOMES, on.votes, strict=True) if on.votes else ():
        voted = handle(button.click, chat.vote(outcome), session, on.reasons)
        voted.then(chat.command, inputs, on.command, **QUIET)
        frame.note_change(voted)
    if on.ballot is None:
        for pane in on.panes:
            handle(pane.log.like, chat.rate, session, outputs=[on.told])
    handle(on.share.click, chat.share, session, outputs=[on.told]).then(None, js="() => fcCopyLink()", **QUIET)
    for trigger in [on.new.click, *(picker.input for picker in on.pickers)]:
        handle(trigger, chat.start_over, session)
    on.command_panel.expand(chat.command, inputs, on.command, **QUIET)
    handle(on.refresh.click, chat.refresh, session, *on.pickers, outputs=[*on.pickers, on.notice, on.told])
    on.place.change(None, on.place, None, js=f"place => fcMoved('{on.place.elem_id}', place)", **QUIET)

    # Gradio drops a closed tab's state after an hour, but only what an event has set. So one sets it to what it is;
    # a new one might come too late and take away a question that a fast reader has asked meanwhile.
    page.load(lambda same: same, session, session, queue=False, **QUIET)


def _applied(handler: Handler, on: Widgets, wording: Wording) -> Callable[..., Any]:
    """A refusal of the arena becomes words on the page."""

    @functools.wraps(handler)
    async def applied(request: gr.Request, *args: Any, **kwargs: Any) -> Changes:
        try:
            return await handler(request, *args, **kwargs) or gr.skip()
        except Exception as error:
            return in_words(on.told, error, wording.of(request))

    return applied
