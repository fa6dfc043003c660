"""What stands where on the page, and which handler answers to what.

There is one view, the chat. Another one brings a layout, a wiring and handlers of its own, and shares everything that
knows no widget: `session`, `answering`, `rendering`, `models`, `failures`.
"""

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fastchat.web import theme
from fastchat.web.chat import Chat, Picker, View
from fastchat.web.session import Conversation
from fastchat.web.settings import MAX_TOKENS, TEMPERATURE, TOP_P, Limits, Pace, Parameters, Range

FORMULAS = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]

# No spinner over what is on the page already, and nothing in Gradio's own API: ours is the gateway's.
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


def build(chat: Chat, *, pace: Pace, limits: Limits, answers_at_once: int | None) -> gr.Blocks:
    """The page as Gradio blocks, its queue set up, ready to be mounted."""
    with gr.Blocks(title="FastChat", analytics_enabled=False, fill_height=True, fill_width=True) as page:
        _wire(page, _lay_out(limits), chat, pace, answers_at_once)
    page.max_threads = limits.answers_in_flight
    page.state_session_capacity = limits.sessions
    page.queue(default_concurrency_limit=None, max_size=limits.answers_waiting, api_open=False)
    # Left alone, the queue looks for work a thousand times a second: 4 % of a core for a page that nobody visits.
    page._queue.sleep_when_free = pace.queue_look_s
    page._queue.progress_update_sleep_when_free = pace.models_tick_s  # we show no progress bars
    return page


@dataclass(frozen=True, slots=True)
class _Widgets:
    """The components that handlers read or change. Any: Gradio is untyped."""

    model: Any
    new: Any
    log: Any
    notice: Any
    question: Any
    send: Any
    stop: Any
    settings: list[Any]
    command_panel: Any
    command: Any


def _lay_out(limits: Limits) -> _Widgets:
    with gr.Row(elem_id="fc-top"):
        gr.HTML(theme.asset("brand.html"), elem_id="fc-brand")
        model = gr.Dropdown([], label="Model", show_label=False, container=False, interactive=False, elem_id="fc-model")
        gr.HTML(theme.asset("links.html"), elem_id="fc-links")
        new = gr.Button("New chat", size="sm", elem_id="fc-new")
    log = _log()
    notice = gr.HTML(visible=False, elem_id="fc-notice")
    with gr.Row(elem_id="fc-composer"):
        question = gr.Textbox(
            label="Message",
            show_label=False,
            container=False,
            placeholder="Ask anything",
            lines=1,
            max_lines=10,
            max_length=limits.question_chars,
            autofocus=True,
            elem_id="fc-question",
        )
        send = gr.Button("Send", variant="primary", elem_id="fc-send")
        stop = gr.Button("Stop", visible=False, elem_id="fc-stop")
    with gr.Row(elem_id="fc-drawer"):
        with gr.Accordion("Parameters", open=False, elem_id="fc-parameters"):
            settings = _settings(Parameters())
        with gr.Accordion("Request as curl", open=False, elem_id="fc-command") as command_panel:
            command = gr.Markdown()
    return _Widgets(model, new, log, notice, question, send, stop, settings, command_panel, command)


def _log() -> Any:
    examples = json.loads(theme.asset("examples.json"))
    return gr.Chatbot(
        label="Chat",
        show_label=False,
        container=False,
        layout="bubble",
        placeholder=theme.asset("welcome.html"),
        examples=[{"text": one["text"], "display_text": f"{one['title']}\n{one['text']}"} for one in examples],
        editable="user",
        buttons=["copy"],
        latex_delimiters=FORMULAS,
        group_consecutive_messages=False,  # every part of an answer is a row of its own, for the style sheet to place
        allow_tags=True,  # shows `<String>` in a sentence as text; without it the word would be gone
        feedback_options=None,
        elem_id="fc-log",
    )


def _settings(start: Parameters) -> list[Any]:
    """One component a field of `Parameters`, in its order."""
    with gr.Row():
        sliders = [
            _slider(TEMPERATURE, start.temperature, "Temperature"),
            _slider(TOP_P, start.top_p, "Top-p"),
            _slider(MAX_TOKENS, start.max_tokens, "Max tokens"),
        ]
    system = gr.Textbox(start.system, label="System message", placeholder="You are …", lines=2, max_lines=6)
    return [*sliders, system]


def _slider(limits: Range, start: float, label: str) -> Any:
    return gr.Slider(limits.lowest, limits.highest, start, step=limits.step, label=label, min_width=180)


def _wire(page: gr.Blocks, on: _Widgets, chat: Chat, pace: Pace, answers_at_once: int | None) -> None:
    conversation, shown = gr.State(Conversation()), gr.State()
    view = list(View(on.log, on.question, on.send, on.stop))
    picker = list(Picker(on.model, on.notice, shown))
    model = [conversation, on.model]

    asked = [
        gr.on([on.question.submit, on.send.click], chat.ask, [on.question, *model], view, queue=False, **QUIET),
        on.log.example_select(chat.ask_example, model, view, queue=False, **QUIET),
        on.log.retry(chat.ask_again, model, view, queue=False, **QUIET),
        on.log.edit(chat.ask_differently, model, view, queue=False, **QUIET),
    ]
    for event in asked:
        event.then(None, js="() => fcShowEnd()", **QUIET)
        event.then(
            chat.answer,
            [conversation, *on.settings],
            view,
            # A reader may ask again while the last answer is being written; the handler knows which of the two counts.
            trigger_mode="multiple",
            concurrency_limit=answers_at_once,
            concurrency_id="answers",
            **QUIET,
        )
        event.then(chat.command, [*model, *on.settings], on.command, **QUIET)
    on.command_panel.expand(chat.command, [*model, *on.settings], on.command, **QUIET)

    on.stop.click(chat.stop, conversation, queue=False, **QUIET)
    on.log.undo(chat.undo, conversation, view, queue=False, **QUIET)
    on.new.click(chat.start_over, conversation, view, queue=False, **QUIET)

    page.unload(chat.leave)

    # Gradio drops a closed tab's state after an hour, but only what an event has set. So one sets it to what it is;
    # a new one might come too late and take away a question that a fast reader has asked meanwhile.
    page.load(lambda same: same, conversation, conversation, queue=False, **QUIET)
    page.load(chat.refresh, [*model, shown], picker, queue=False, **QUIET)
    gr.Timer(pace.models_tick_s).tick(chat.refresh, [*model, shown], picker, queue=False, **QUIET)
