from typing import Any

import gradio as gr

from fastchat.arena.records import Mode, Outcome
from fastchat.arena.views import SummaryView
from fastchat.web.history import History, listing
from fastchat.web.texts import Catalogue, Wording
from tests.web.stub_arena import SOMEBODY, StubArena

REQUEST: Any = None
TEXTS = Catalogue.load().of("de")


def summary(title: str = "A title", outcome: Outcome | None = None) -> SummaryView:
    return SummaryView(conversation_id="c-1", mode=Mode.BATTLE, title=title, updated_at=0.0, outcome=outcome)


def test_a_title_cannot_bring_markup_nor_a_template_along() -> None:
    shown = listing([summary("<b>${1}</b>{{x}}`")], TEXTS, is_search=False)
    for bad in ("<b>", "${", "{{", "`"):
        assert bad not in shown


def test_a_vote_is_shown_by_its_letter() -> None:
    assert ">B</span>" in listing([summary(outcome=Outcome.RIGHT)], TEXTS, is_search=False)
    assert "Du hast B gewählt." in listing([summary(outcome=Outcome.RIGHT)], TEXTS, is_search=False)
    assert "fc-sign" not in listing([summary()], TEXTS, is_search=False)


def test_an_empty_list_says_why() -> None:
    assert TEXTS("no_history") in listing([], TEXTS, is_search=False)
    assert TEXTS("nothing_found") in listing([], TEXTS, is_search=True)


async def test_renaming_to_nothing_changes_nothing() -> None:
    arena = StubArena()
    history = History(arena, lambda _: SOMEBODY, "default", Wording())
    for title in ("  ", "New"):
        renamed: Any = gr.EventData(None, {"id": "c-1", "title": title})
        await history.rename(REQUEST, renamed, "")
    assert [given for call, given in arena.calls if call == "rename"] == [("c-1", "New")]
