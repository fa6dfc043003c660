"""The components of a conversation, for one pane or two. What they do is wired up in `conversation`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fastchat.arena.config import ArenaConfig
from fastchat.arena.records import Mode, Outcome, Side
from fastchat.web import theme, words
from fastchat.web.markup import escaped
from fastchat.web.settings import MAX_TOKENS, TEMPERATURE, TOP_P, Limits, Parameters, Range

FORMULAS = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]

OUTCOMES = (Outcome.LEFT, Outcome.RIGHT, Outcome.TIE, Outcome.BOTH_BAD)  # the keys 1 to 4

_FILE_TYPES = ["image", ".pdf", ".txt", ".md"]


@dataclass(frozen=True, slots=True)
class Pane:
    """Any: Gradio is untyped."""

    side: Side
    head: Any
    picker: Any | None  # where models are chosen
    log: Any


@dataclass(frozen=True, slots=True)
class Widgets:
    """The components that handlers read or change."""

    panes: tuple[Pane, ...]
    welcome: Any
    ballot: Any | None  # the row of votes; there is none where one model answers
    votes: tuple[Any, ...]
    reasons: Any | None
    told: Any  # what came of the last thing the reader did
    notice: Any  # what is wrong for as long as it is
    composer: Any
    share: Any
    new: Any
    settings: tuple[Any, ...]  # in the order of `Parameters`
    command_panel: Any
    command: Any
    place: Any  # id of the open conversation, for the address bar
    open: Any
    refresh: Any

    @property
    def pickers(self) -> tuple[Any, ...]:
        return tuple(pane.picker for pane in self.panes if pane.picker is not None)


def lay_out(mode: Mode, arena: ArenaConfig, limits: Limits) -> Widgets:
    name = mode.value
    sides = (Side.LEFT,) if mode is Mode.DIRECT else (Side.LEFT, Side.RIGHT)
    with gr.Row(elem_classes="fc-actions"):
        share = gr.Button(words.SHARE, size="sm", elem_classes="fc-quiet fc-share", elem_id=f"fc-{name}-share")
        new = gr.Button(words.NEW[mode], size="sm", elem_classes="fc-quiet fc-new", elem_id=f"fc-{name}-new")
    with gr.Row(elem_classes=f"fc-panes fc-{len(sides)}"):
        panes = tuple(_pane(mode, side) for side in sides)
    welcome = gr.HTML(_welcome(mode, arena), elem_classes="fc-welcome", js_on_load=theme.asset("welcome.js"))
    ballot, votes, reasons = (None, (), None) if mode is Mode.DIRECT else _ballot(name)
    told = gr.HTML("", elem_classes="fc-told", js_on_load=None)
    notice = gr.HTML("", elem_classes="fc-notice", js_on_load=None)
    composer = gr.MultimodalTextbox(
        label=words.MESSAGE,
        show_label=False,
        container=False,
        placeholder=words.ASK[mode],
        file_types=_FILE_TYPES,
        file_count="multiple",
        lines=1,
        max_lines=10,
        max_plain_text_length=limits.question_chars,
        html_attributes=gr.InputHTMLAttributes(autocorrect=None, spellcheck=True),
        autofocus=True,
        submit_btn=True,
        stop_btn=True,
        elem_id=f"fc-{name}-composer",
        elem_classes="fc-composer",
    )
    with gr.Row(elem_classes="fc-drawer"):
        with gr.Accordion(words.PARAMETERS, open=False, elem_classes="fc-parameters"):
            settings = _settings(Parameters(system=arena.system))
        with gr.Accordion(words.AS_CURL, open=False, elem_classes="fc-command") as command_panel:
            command = gr.Markdown()
    with gr.Row(elem_classes="fc-hidden"):
        place = gr.Textbox(label="place", elem_id=f"fc-{name}-place")
        opener = gr.Button("open", elem_id=f"fc-{name}-open")
        refresh = gr.Button("refresh", elem_id=f"fc-{name}-refresh")
    return Widgets(
        panes, welcome, ballot, votes, reasons, told, notice, composer, share, new, settings, command_panel, command,
        place, opener, refresh,
    )  # fmt: skip


def _pane(mode: Mode, side: Side) -> Pane:
    letter = words.LETTERS[side]
    with gr.Column(elem_classes=f"fc-pane fc-{side.value}", min_width=0):
        with gr.Row(elem_classes="fc-pane-head"):
            head = gr.HTML(head_of(mode, side), elem_classes="fc-head", js_on_load=None)
            picker = None
            if mode is not Mode.BATTLE:
                picker = gr.Dropdown(
                    [],
                    label=words.MODEL if mode is Mode.DIRECT else f"{words.MODEL} {letter}",
                    show_label=False,
                    container=False,
                    interactive=False,
                    elem_classes="fc-model",
                )
        log = gr.Chatbot(
            label=words.CHAT if mode is Mode.DIRECT else f"{words.CHAT} {letter}",
            show_label=False,
            container=False,
            layout="bubble",
            placeholder="",
            editable="user",
            buttons=["copy"],
            latex_delimiters=FORMULAS,
            group_consecutive_messages=False,  # every part of an answer is a row of its own, for the style sheet
            allow_tags=True,  # shows `<String>` in a sentence as text; without it the word would be gone
            feedback_options=("Like", "Dislike") if mode is Mode.DIRECT else None,
            elem_classes="fc-log",
        )
    return Pane(side, head, picker, log)


def head_of(mode: Mode, side: Side, *, model: str | None = None, is_winner: bool = False, is_busy: bool = False) -> str:
    """Above a pane: the letter, and what is known of who is behind it.

    `is_busy` marks it for the style sheet, which shows Send or Stop accordingly. To change a property of the box itself
    would make Gradio describe the type of its value anew, which takes some milliseconds.
    """
    busy = '<span class="fc-busy"></span>' if is_busy else ""
    if mode is Mode.DIRECT:
        return busy
    name = f' <span class="fc-name">{escaped(model)}</span>' if model and mode is Mode.BATTLE else ""
    winner = f' <span class="fc-winner">{words.YOUR_CHOICE}</span>' if is_winner else ""
    return f'<h2><span class="fc-letter">{words.MODEL} {words.LETTERS[side]}</span>{name}{winner}</h2>{busy}'


def _ballot(name: str) -> tuple[Any, tuple[Any, ...], Any]:
    with gr.Column(visible=False, elem_classes="fc-ballot") as ballot:
        with gr.Row(elem_classes="fc-votes"):
            votes = tuple(
                gr.Button(words.VOTES[outcome], elem_id=f"fc-{name}-vote-{key}", elem_classes="fc-vote", min_width=0)
                for key, outcome in enumerate(OUTCOMES, 1)
            )
        reasons = gr.CheckboxGroup(list(words.REASONS), label=words.WHY, elem_classes="fc-reasons")
    return ballot, votes, reasons


def _welcome(mode: Mode, arena: ArenaConfig) -> str:
    examples = "".join(_example(one["title"], one["text"]) for one in json.loads(theme.asset("examples.json")))
    said = arena.description or words.WELCOME[mode].text
    return (
        f"<h2>{escaped(words.WELCOME[mode].title)}</h2><p>{escaped(said)}</p>"
        f'<div class="fc-examples" role="group" aria-label="{words.EXAMPLES}">{examples}</div>'
    )


def _example(title: str, text: str) -> str:
    return (
        f'<button type="button" class="fc-example" data-question="{escaped(text)}"><strong>{escaped(title)}</strong> '
        f"<span>{escaped(text)}</span></button>"
    )


def _settings(start: Parameters) -> tuple[Any, ...]:
    """One component a field of `Parameters`, in its order."""
    with gr.Row():
        sliders = tuple(_sliders(start))
    system = gr.Textbox(
        start.system,
        label=words.SYSTEM,
        info=words.SYSTEM_HINT,
        placeholder=words.SYSTEM_EXAMPLE,
        lines=2,
        max_lines=6,
    )
    return (*sliders, system)


def _sliders(start: Parameters) -> Iterator[Any]:
    yield _slider(TEMPERATURE, start.temperature, words.TEMPERATURE)
    yield _slider(TOP_P, start.top_p, words.TOP_P)
    yield _slider(MAX_TOKENS, start.max_tokens, words.MAX_TOKENS)


def _slider(limits: Range, start: float, label: str) -> Any:
    return gr.Slider(limits.lowest, limits.highest, start, step=limits.step, label=label, min_width=180)


def shown_parts(widgets: Widgets) -> Sequence[Any]:
    """What changes with the conversation. Whatever stands here and does not change costs all the same."""
    panes = [part for pane in widgets.panes for part in (pane.head, pane.log)]
    rest = [widgets.ballot, widgets.reasons, widgets.told, widgets.place]
    return [one for one in [*panes, *rest] if one is not None]
