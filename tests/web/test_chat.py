"""What the handlers ask of the arena, and what they change on the page; how it looks is seen in the browser tests."""

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from fastchat.arena.config import ArenaConfig
from fastchat.arena.records import FilePart, Mark, Mode, Outcome, Side, TextPart
from fastchat.core.errors import NotNow
from fastchat.web.chat import Backend, Chat, in_words
from fastchat.web.layout import Widgets, lay_out
from fastchat.web.session import Session
from fastchat.web.settings import Limits, Pace
from fastchat.web.texts import Catalogue, Wording
from tests.web.scenes import answer, turn, view
from tests.web.stub_arena import SOMEBODY, StubArena

REQUEST: Any = SimpleNamespace(query_params={}, headers={})  # `identify` is told who calls
TEXTS = Catalogue.load().of("de")
PARAMETERS = (0.7, 1.0, 1024, "Be brief.")


class Stage:
    def __init__(self, mode: Mode) -> None:
        self.arena = StubArena()
        with gr.Blocks():
            self.on: Widgets = lay_out(mode, ArenaConfig(), Limits())
        self.chat = Chat(
            mode,
            self.on,
            Backend(
                arena=self.arena,
                identify=lambda _: SOMEBODY,
                pace=Pace(),
                running=lambda: self.arena.names,
                wording=Wording(fixed="de"),
            ),
        )
        self.session = Session()

    async def ask(self, text: str, *picked: str | None) -> dict[Any, Any]:
        draft: Any = {"text": text, "files": []}
        return await self.chat.ask(REQUEST, self.session, draft, *picked, *PARAMETERS)


def asked(mode: Mode = Mode.DIRECT, **fields: Any) -> Any:
    return view(turn("Hi", answer(Side.LEFT, ending=None), answer(Side.RIGHT, ending=None)), mode=mode, **fields)


async def test_a_first_question_starts_a_conversation_with_what_was_picked() -> None:
    stage = Stage(Mode.SIDE_BY_SIDE)
    stage.arena.view = asked(Mode.SIDE_BY_SIDE)
    await stage.ask("Hi", "b", "a")
    assert stage.arena.calls == [("start", (["b", "a"], "Be brief.")), ("ask", ([TextPart(text="Hi")],))]


async def test_who_asks_before_the_pickers_are_filled_gets_two_models() -> None:
    stage = Stage(Mode.SIDE_BY_SIDE)
    stage.arena.view = asked(Mode.SIDE_BY_SIDE)
    await stage.ask("Hi", None, None)
    assert stage.arena.calls[0] == ("start", (["a", "b"], "Be brief."))


async def test_a_further_question_goes_to_the_same_conversation() -> None:
    stage = Stage(Mode.DIRECT)
    stage.arena.view = stage.session.seen = view(turn("Hi", answer(text="Hello.")))
    await stage.ask("And?", "a")
    assert [call for call, _ in stage.arena.calls] == ["ask"]


async def test_asking_stops_the_answer_before() -> None:
    stage = Stage(Mode.DIRECT)
    stage.arena.view = stage.session.seen = asked()
    await stage.ask("And?", "a")
    assert [call for call, _ in stage.arena.calls] == ["stop", "ask"]


async def test_a_blank_question_is_none() -> None:
    stage = Stage(Mode.DIRECT)
    assert await stage.ask("  \n", "a") == {}
    assert stage.arena.calls == []


@pytest.mark.parametrize("has_image", [False, True])
async def test_one_of_the_arenas_own_questions_is_drawn_and_asked(has_image: bool) -> None:
    stage = Stage(Mode.DIRECT)
    stage.arena.view = asked()
    words, image = TextPart(text="What?"), FilePart(type="image", file_id="f", media_type="image/png")
    stage.arena.drawn = (words, image) if has_image else (words,)
    drawn: Any = gr.EventData(None, {"draws": True})
    await stage.chat.ask_example(REQUEST, drawn, stage.session, "a", *PARAMETERS)
    assert stage.arena.calls[-1] == ("ask", ([image, words] if has_image else [words],))


async def test_editing_keeps_what_was_attached() -> None:
    stage = Stage(Mode.DIRECT)
    image = FilePart(type="image", file_id="f", media_type="image/png")
    stage.arena.view = stage.session.seen = view(turn((image, TextPart(text="What?")), answer(text="A heron.")))
    edited: Any = gr.EditData(None, {"index": 1, "value": "Where?", "previous_value": "What?"})
    await stage.chat.ask_differently(Side.LEFT)(REQUEST, edited, stage.session)
    assert stage.arena.calls == [("edit", (0, [image, TextPart(text="Where?")]))]


async def test_a_vote_takes_the_token_of_what_was_seen_and_only_our_reasons() -> None:
    stage = Stage(Mode.BATTLE)
    done = turn("Hi", answer(Side.LEFT, text="l"), answer(Side.RIGHT, text="r"))
    stage.session.seen = view(done, mode=Mode.BATTLE, can_vote=True, vote_token="seen")
    stage.arena.view = view(done, mode=Mode.BATTLE, outcome=Outcome.LEFT)
    changes = await stage.chat.vote(Outcome.LEFT)(REQUEST, stage.session, ["Clear", "<b>made up</b>"])
    assert stage.arena.calls == [("vote", ("seen", Outcome.LEFT, ("Clear",)))]
    assert "osprey-7b" in changes[stage.on.panes[0].head]
    assert TEXTS("your_choice") in changes[stage.on.panes[0].head]
    assert changes[stage.on.ballot]["visible"] is False


async def told_after_a_vote(mode: Mode, *marks: Mark) -> str:
    stage = Stage(mode)
    done = turn("Hi", answer(Side.LEFT, text="l"), answer(Side.RIGHT, text="r"))
    stage.session.seen = view(done, mode=mode, can_vote=True, vote_token="seen")
    stage.arena.view = view(done, mode=mode, outcome=Outcome.LEFT, marks=marks)
    changes = await stage.chat.vote(Outcome.LEFT)(REQUEST, stage.session, [])
    return str(changes[stage.on.told])


async def test_a_vote_ends_with_a_link_to_its_receipt() -> None:
    told = await told_after_a_vote(Mode.BATTLE)
    link = '<a class="fc-receipt" href="api/arena/log/receipt/v" download="receipt-v.json">'
    assert told.endswith(f"{link}{TEXTS.html('receipt')}</a>")


@pytest.mark.parametrize(
    ("mode", "marks", "said"),
    [
        (Mode.BATTLE, (), "counted"),
        (Mode.BATTLE, (Mark.REGENERATED,), "counted"),
        (Mode.BATTLE, (Mark.NAMES_ITSELF,), "logged"),
        (Mode.SIDE_BY_SIDE, (), "logged"),
    ],
)
async def test_a_vote_is_said_to_count_only_where_it_does(mode: Mode, marks: tuple[Mark, ...], said: str) -> None:
    told = await told_after_a_vote(mode, *marks)
    assert [key for key in ("counted", "logged") if TEXTS.html(key) in told] == [said]


@pytest.mark.parametrize(
    ("mode", "outcome", "is_late"),
    [(Mode.BATTLE, Outcome.LEFT, True), (Mode.BATTLE, None, False), (Mode.SIDE_BY_SIDE, Outcome.LEFT, False)],
)
async def test_what_is_asked_after_the_vote_is_said_not_to_count(
    mode: Mode, outcome: Outcome | None, is_late: bool
) -> None:
    stage = Stage(mode)
    stage.arena.view = stage.session.seen = asked(mode, outcome=outcome)
    told = f"<span>{TEXTS.html('after_vote')}</span>" if is_late else ""
    changes = await stage.ask("And?", *("a" for _ in stage.on.pickers))
    assert changes[stage.on.told] == told
    changes = await stage.chat.ask_again(REQUEST, stage.session)
    assert changes[stage.on.told] == told


async def test_nothing_to_vote_on_is_no_vote() -> None:
    stage = Stage(Mode.BATTLE)
    assert await stage.chat.vote(Outcome.TIE)(REQUEST, stage.session, []) == {}
    stage.session.seen = asked(Mode.BATTLE)
    assert await stage.chat.vote(Outcome.TIE)(REQUEST, stage.session, []) == {}
    assert stage.arena.calls == []


async def test_a_refused_vote_is_told_and_shows_how_things_stand() -> None:
    stage = Stage(Mode.BATTLE)
    done = turn("Hi", answer(Side.LEFT, text="l"), answer(Side.RIGHT, text="r"))
    stage.arena.view = stage.session.seen = view(done, mode=Mode.BATTLE, can_vote=True, vote_token="old")
    stage.arena.refusal = NotNow("Read both <answers> first.")
    changes = await stage.chat.vote(Outcome.LEFT)(REQUEST, stage.session, [])
    assert "Read both &lt;answers&gt; first." in changes[stage.on.told]
    assert changes[stage.on.ballot]["visible"] is True


async def test_a_later_question_is_not_overwritten_by_an_earlier_ones_end() -> None:
    """`settle` of the first answer asks how things stand while the second is done already."""
    stage = Stage(Mode.DIRECT)
    stage.session.seen, finished = asked(), view(turn("Hi", answer(text="Done.")))

    async def late(who: object, conversation_id: str) -> Any:
        stage.session.seen = finished
        return asked()

    stage.arena.conversation = late  # type: ignore[method-assign]
    await stage.chat.settle(REQUEST, stage.session)
    assert stage.session.seen is finished


@pytest.mark.parametrize(
    ("names", "mode", "problem"),
    [
        ((), Mode.BATTLE, "no_model_notice"),
        (("a",), Mode.BATTLE, "one_model_notice"),
        (("a", "b"), Mode.BATTLE, ""),
        (("a",), Mode.DIRECT, ""),
        ((), Mode.DIRECT, "no_model_notice"),
    ],
)
async def test_what_is_missing_is_said_above_the_box(names: tuple[str, ...], mode: Mode, problem: str) -> None:
    stage = Stage(mode)
    stage.arena.names = names
    changes = await stage.chat.refresh(REQUEST, stage.session, *(None for _ in stage.on.pickers))
    assert (TEXTS(problem) if problem else "") in changes[stage.on.notice]
    assert bool(changes[stage.on.notice]) is bool(problem)


async def test_while_it_is_blind_no_request_is_shown() -> None:
    stage = Stage(Mode.BATTLE)
    stage.session.seen = view(turn("Hi", answer(Side.LEFT, text="l")), mode=Mode.BATTLE)
    assert await stage.chat.command(REQUEST, stage.session, *PARAMETERS) == TEXTS("curl_after_vote")


def test_what_was_not_foreseen_is_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    changes = in_words("told", RuntimeError("a secret path"), TEXTS)
    assert TEXTS("error_lost") in changes["told"]
    assert "a secret path" in caplog.text


@pytest.mark.parametrize(("asked_for", "picked", "shown"), [("b", None, "b"), ("nobody", None, "a"), ("b", "a", "a")])
async def test_a_link_to_a_model_chooses_it(asked_for: str, picked: str | None, shown: str) -> None:
    stage = Stage(Mode.DIRECT)
    request: Any = SimpleNamespace(query_params={"model": asked_for}, headers={})

    changes = await stage.chat.refresh(request, stage.session, picked)

    assert changes[stage.on.pickers[0]]["value"] == shown
