from typing import Any

import gradio as gr
import pytest

from fastchat.arena.records import Ending, FilePart, Side, TextPart, Thumb
from fastchat.arena.views import ConversationView
from fastchat.web.rendering import (
    answer_of_row,
    facts,
    log_of,
    split_thought,
    thumbs_of,
    turn_of_question,
)
from fastchat.web.texts import Catalogue
from tests.web.scenes import answer, turn, view

CATALOGUE = Catalogue.load()
ENGLISH = CATALOGUE.of("en")
GERMAN = CATALOGUE.of("de")
IMAGE = FilePart(type="image", file_id="f 1", media_type="image/png", name='a "b".png')


def texts(shown: ConversationView | None, side: Side = Side.LEFT) -> list[tuple[str, str]]:
    return [(row["role"], row["content"][0]["text"]) for row in log_of(shown, side, ENGLISH)]


def test_rows_are_what_gradio_would_make_of_them() -> None:
    """They are handed to the browser as they are; Gradio's own way is the oracle."""
    shown = view(turn("one?", answer(reasoning="Hm.", text="Here:\n    if x:\n        return")))
    given = log_of(shown, Side.LEFT, ENGLISH)
    made = gr.Chatbot().postprocess([row | {"content": row["content"]} for row in given]).model_dump()
    assert [dict(row, metadata=_without_none(row["metadata"])) for row in made] == given


def _without_none(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    return {key: value for key, value in metadata.items() if value is not None} if metadata else None


def test_nothing_is_shown_of_no_conversation() -> None:
    assert log_of(None, Side.LEFT, ENGLISH) == []


def test_an_answer_without_a_token_is_shown_as_waiting() -> None:
    _, (role, text) = texts(view(turn("one?", answer(ending=None))))
    assert role == "assistant"
    assert 'role="status" aria-label="Waiting for the first token"' in text


def test_each_side_sees_its_own_answer() -> None:
    shown = view(turn("one?", answer(Side.LEFT, text="l"), answer(Side.RIGHT, text="r")))
    assert texts(shown, Side.LEFT)[1] == ("assistant", "l")
    assert texts(shown, Side.RIGHT)[1] == ("assistant", "r")


def test_facts_follow_an_answer_that_ended() -> None:
    shown = view(turn("one?", answer(text="one.", model="tiny-chat")))
    assert texts(shown)[1:] == [("assistant", "one."), ("assistant", '<div class="fc-facts">tiny-chat</div>')]


def test_of_a_blind_answer_no_facts_are_shown() -> None:
    assert texts(view(turn("one?", answer(text="one."))))[1:] == [("assistant", "one.")]


def test_reasoning_is_open_while_it_is_written_and_folded_afterwards() -> None:
    def metadata(**fields: Any) -> object:
        return log_of(view(turn("one?", answer(reasoning="Hm.", ending=None, **fields))), Side.LEFT, ENGLISH)[1][
            "metadata"
        ]

    assert metadata() == {"title": "Reasoning", "status": "pending"}
    assert metadata(text="one.") == {"title": "Reasoning", "status": "done"}


def test_a_failure_and_a_files_name_cannot_smuggle_in_markup() -> None:
    shown = view(turn((IMAGE, TextPart(text="?")), answer(ending=Ending.FAILED, failure="<img src=x>")))
    rows = [text for _, text in texts(shown)]
    assert 'alt="a &quot;b&quot;.png"' in rows[0]
    assert 'src="api/arena/files/f%201"' in rows[0]
    assert "&lt;img src=x&gt;" in rows[2]


def test_a_row_of_the_log_leads_to_its_turn() -> None:
    shown = view(
        turn("one?", answer(text="one.", reasoning="Hm.", model="m")),
        turn((IMAGE, TextPart(text="two?")), answer(text="two.", model="m")),
    )
    assert [turn_of_question(shown, Side.LEFT, row, ENGLISH) for row in (0, 5)] == [0, 1]
    assert [turn_of_question(shown, Side.LEFT, row, ENGLISH) for row in (-1, 1, 3, 4, 99, "0", None)] == [None] * 7


def test_a_row_of_the_log_leads_to_its_answer() -> None:
    shown = view(turn("one?", answer(text="one.")), turn("two?", answer(text="two.")))
    found = answer_of_row(shown, Side.LEFT, 3, ENGLISH)
    assert found is not None
    assert found.text == "two."
    assert answer_of_row(shown, Side.LEFT, 9, ENGLISH) is None


def test_thumbs_stand_beside_every_row_of_their_answer() -> None:
    shown = view(turn("one?", answer(text="one.", model="m", thumb=Thumb.UP)), turn("two?", answer(text="two.")))
    assert thumbs_of(shown, Side.LEFT, ENGLISH) == ["Like", "Like", None]


def test_facts_tell_tokens_speed_and_wait() -> None:
    told = answer(model="tiny-chat", completion_tokens=41, tokens_per_s=20.0, first_token_s=0.25)
    assert facts(told, ENGLISH) == "tiny-chat · 41 tokens · 20 tokens/s · first token after 0.25 s"


def test_facts_are_told_in_the_readers_language() -> None:
    told = answer(completion_tokens=41, tokens_per_s=2.5, first_token_s=0.25, ending=Ending.STOPPED)
    assert facts(told, GERMAN) == "41 Tokens · 2,5 Tokens/s · erstes Token nach 0,25 s · angehalten"
    assert facts(answer(completion_tokens=1), ENGLISH) == "1 token"


def test_a_failure_is_told_in_the_readers_language_and_a_servers_own_words_as_they_are() -> None:
    words = "This model failed while it was answering. Try again, or start over. (CUDA <error>)"
    (_, said) = log_of(view(turn("?", answer(ending=Ending.FAILED, failure=words))), Side.LEFT, GERMAN)
    text = said["content"][0]["text"]
    assert "beim Antworten ausgefallen" in text
    assert '<span lang="en">(CUDA &lt;error&gt;)</span>' in text


@pytest.mark.parametrize(
    ("ending", "words"),
    [(Ending.STOPPED, "stopped"), (Ending.CUT_OFF, "cut off at the token limit"), (Ending.INTERRUPTED, "interrupted")],
)
def test_facts_tell_why_an_answer_is_incomplete(ending: Ending, words: str) -> None:
    assert facts(answer(ending=ending), ENGLISH).startswith(words)


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("plain", "", "plain"),
        ("<think>why", "why", ""),
        ("<think>why</think>\n\nthus", "why", "thus"),
        ("\n<think>\nwhy\n</think>thus", "why", "thus"),
        ("why</think>thus", "why", "thus"),  # the prompt ended with the opening tag
        ("a <think> in a sentence", "", "a <think> in a sentence"),
    ],
)
def test_thoughts_in_the_text_are_told_apart(text: str, thought: str, said: str) -> None:
    assert split_thought(text) == (thought, said)
