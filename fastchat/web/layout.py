"""The components of a conversation, for one pane or two. What they do is wired up in `conversation`.

Labels are keys, which the browser replaces: `I18nData` in Gradio's components, `data-text` in our own HTML (`page.js`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from fastchat.arena.config import ArenaConfig
from fastchat.arena.records import Mode, Outcome, Side
from fastchat.web import theme
from fastchat.web.markup import escaped
from fastchat.web.settings import MAX_TOKENS, TEMPERATURE, TOP_P, Limits, Parameters, Range
from fastchat.web.texts import Texts

FORMULAS = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]

OUTCOMES = (Outcome.LEFT, Outcome.RIGHT, Outcome.TIE, Outcome.BOTH_BAD)  # the keys 1 to 4

LETTERS = {Side.LEFT: "A", Side.RIGHT: "B"}

# Kept with the vote in English, shown in the reader's language.
REASONS = {
    "Correct": "reason_correct",
    "Clear": "reason_clear",
    "Complete": "reason_complete",
    "To the point": "reason_to_the_point",
    "Well written": "reason_well_written",
    "Follows instructions": "reason_follows_instructions",
}

EXAMPLES = ("explain", "code", "formula", "message")

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
        share = gr.Button(I18nData("share"), size="sm", elem_classes="fc-quiet fc-share", elem_id=f"fc-{name}-share")
        new = gr.Button(
            I18nData("new_chat" if mode is Mode.DIRECT else "new_round"),
            size="sm",
            elem_classes="fc-quiet fc-new",
            elem_id=f"fc-{name}-new",
        )
    with gr.Row(elem_classes=f"fc-panes fc-{len(sides)}"):
        panes = tuple(_pane(mode, side) for side in sides)
    welcome = gr.HTML(_welcome(mode, arena), elem_classes="fc-welcome", js_on_load=theme.asset("welcome.js"))
    ballot, votes, reasons = (None, (), None) if mode is Mode.DIRECT else _ballot(name)
    told = gr.HTML("", elem_classes="fc-told", js_on_load=None)
    notice = gr.HTML("", elem_classes="fc-notice", js_on_load=None)
    composer = gr.MultimodalTextbox(
        label=I18nData("message"),
        show_label=False,
        container=False,
        placeholder=I18nData("ask_one" if mode is Mode.DIRECT else "ask_both"),
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
        with gr.Accordion(I18nData("parameters"), open=False, elem_classes="fc-parameters"):
            settings = _settings(Parameters())
        with gr.Accordion(I18nData("as_curl"), open=False, elem_classes="fc-command") as command_panel:
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
    of_side = "" if mode is Mode.DIRECT else f"_{LETTERS[side].lower()}"
    with gr.Column(elem_classes=f"fc-pane fc-{side.value}", min_width=0):
        with gr.Row(elem_classes="fc-pane-head"):
            head = gr.HTML(head_of(mode, side), elem_classes="fc-head", js_on_load=None)
            picker = None
            if mode is not Mode.BATTLE:
                picker = gr.Dropdown(
                    [],
                    label=I18nData(f"model{of_side}"),
                    show_label=False,
                    container=False,
                    interactive=False,
                    elem_classes="fc-model",
                )
        log = gr.Chatbot(
            label=I18nData(f"chat{of_side}"),
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


def head_of(
    mode: Mode,
    side: Side,
    texts: Texts | None = None,
    *,
    model: str | None = None,
    is_winner: bool = False,
    is_busy: bool = False,
) -> str:
    """Above a pane: the letter, and what is known of who is behind it. Without texts, for whoever comes to read it.

    `is_busy` marks it for the style sheet, which shows Send or Stop accordingly. To change a property of the box itself
    would make Gradio describe the type of its value anew, which takes some milliseconds.
    """
    busy = '<span class="fc-busy"></span>' if is_busy else ""
    if mode is Mode.DIRECT:
        return busy
    name = f' <span class="fc-name">{escaped(model)}</span>' if model and mode is Mode.BATTLE else ""
    letter = f"model_{LETTERS[side].lower()}"
    if texts is None:
        return f'<h2><span class="fc-letter" data-text="{letter}"></span></h2>'
    winner = f' <span class="fc-winner">{texts.html("your_choice")}</span>' if is_winner else ""
    return f'<h2><span class="fc-letter">{texts.html(letter)}</span>{name}{winner}</h2>{busy}'


def _ballot(name: str) -> tuple[Any, tuple[Any, ...], Any]:
    with gr.Column(visible=False, elem_classes="fc-ballot") as ballot:
        with gr.Row(elem_classes="fc-votes"):
            votes = tuple(
                gr.Button(
                    I18nData(f"vote_{outcome.value}"),
                    elem_id=f"fc-{name}-vote-{key}",
                    elem_classes="fc-vote",
                    min_width=0,
                )
                for key, outcome in enumerate(OUTCOMES, 1)
            )
        choices: list[tuple[Any, str]] = [(I18nData(key), reason) for reason, key in REASONS.items()]
        reasons = gr.CheckboxGroup(choices, label=I18nData("why"), elem_classes="fc-reasons")
    return ballot, votes, reasons


def _welcome(mode: Mode, arena: ArenaConfig) -> str:
    said = f"<p>{escaped(arena.description)}</p>" if arena.description else f'<p data-text="welcome_{mode}_text"></p>'
    drawn = '<button type="button" class="fc-example fc-draw"><strong data-text="draw_question"></strong></button>'
    return (
        f'<h2 data-text="welcome_{mode}_title"></h2>{said}'
        '<div class="fc-examples" role="group" data-name="examples">'
        f"{drawn if arena.questions else ''}{''.join(map(_example, EXAMPLES))}</div>"
    )


def _example(name: str) -> str:
    return (
        f'<button type="button" class="fc-example"><strong data-text="example_{name}_title"></strong> '
        f'<span data-text="example_{name}_text"></span></button>'
    )


def _settings(start: Parameters) -> tuple[Any, ...]:
    """One component a field of `Parameters`, in its order."""
    with gr.Row():
        sliders = tuple(_sliders(start))
    system = gr.Textbox(
        start.system,
        label=I18nData("system"),
        info=I18nData("system_hint"),
        placeholder=I18nData("system_example"),
        lines=2,
        max_lines=6,
    )
    return (*sliders, system)


def _sliders(start: Parameters) -> Iterator[Any]:
    yield _slider(TEMPERATURE, start.temperature, "temperature")
    yield _slider(TOP_P, start.top_p, "top_p")
    yield _slider(MAX_TOKENS, start.max_tokens, "max_tokens")


def _slider(limits: Range, start: float, key: str) -> Any:
    return gr.Slider(limits.lowest, limits.highest, start, step=limits.step, label=I18nData(key), min_width=180)


def shown_parts(widgets: Widgets) -> Sequence[Any]:
    """What changes with the conversation. Whatever stands here and does not change costs all the same."""
    panes = [part for pane in widgets.panes for part in (pane.head, pane.log)]
    rest = [widgets.ballot, widgets.reasons, widgets.told, widgets.place]
    return [one for one in [*panes, *rest] if one is not None]
