"""Our formats against FastChat's own text; see tests/data/README.md."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import InvalidRequest
from fastchat.prompts import catalog
from fastchat.prompts.formats import PromptFormat
from fastchat.prompts.rendering import AnswerMarks

DATA = Path(__file__).parents[1] / "data"
FASTCHAT: dict[str, Any] = json.loads((DATA / "prompt_formats.json").read_text("utf-8"))
MORE: dict[str, Any] = json.loads((DATA / "prompt_formats_more.json").read_text("utf-8"))
NAMES = sorted(FASTCHAT["rendered"])
RENDERED_BY_FASTCHAT = [name for name in NAMES if "error" not in FASTCHAT["rendered"][name]]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def test_every_name_of_fastchat_is_a_format() -> None:
    assert [catalog.find(name).name for name in NAMES] == NAMES


@pytest.mark.parametrize("name", RENDERED_BY_FASTCHAT)
def test_text_and_stops_are_fastchats(name: str) -> None:
    theirs = FASTCHAT["rendered"][name]
    messages = [{"role": role, "content": text} for role, text in FASTCHAT["conversation"]]
    format = catalog.find(name)
    assert format.render(messages) == theirs["prompt"]
    assert format.system == theirs["system"]
    assert list(format.roles) == theirs["roles"][:2]  # one has a third, for the system
    stop = theirs["stop"] or []
    assert list(format.stop) == ([stop] if isinstance(stop, str) else stop)
    assert list(format.stop_token_ids) == (theirs["stop_token_ids"] or [])


@pytest.mark.parametrize("name", RENDERED_BY_FASTCHAT)
def test_other_conversations_are_rendered_as_by_fastchat(name: str) -> None:
    format = catalog.find(name)
    conversations = MORE["conversations"]
    ours = {title: digest(format.render(messages)) for title, messages in conversations.items()}
    differing = {title for title, theirs in MORE["digests"][name].items() if ours[title] != theirs}
    # It cuts letters off; see the differences in the catalogue.
    assert differing == ({"ends in n", "braces and marks"} & differing if name == "yuan2" else set())


def test_what_differs_from_fastchat_still_does() -> None:
    ours = [catalog.find(row["format"]).render(row["messages"]) for row in MORE["different"]]
    assert ours[0] == "What is a lion<sep>"
    assert ours[1].endswith("USER: One. USER: Two. ASSISTANT:")
    assert ours[2] == "Be kind.\n\nBe brief. USER: Hi. ASSISTANT:"
    assert not [text for text, row in zip(ours, MORE["different"], strict=True) if text == row["fastchat"]]
    assert catalog.find("yandexgpt").render([user("Hi")]) == "\nuser: Hi\nassistant:"
    assert FASTCHAT["rendered"]["yandexgpt"] == {"error": "ValueError('Invalid style: None')"}


def test_every_difference_is_explained() -> None:
    explained = {name for row in catalog.differences() for name in row.formats}
    assert explained == {"yandexgpt", "yuan2", "*"}
    assert all(row.what and row.why for row in catalog.differences())


@pytest.mark.parametrize("name", catalog.names())
def test_an_answer_is_asked_for_after_the_user_and_only_then(name: str) -> None:
    format = catalog.find(name)
    closed = [user("One?"), assistant("Uno.")]
    assert format.render(closed) == format.render(closed, add_generation_prompt=False)
    assert format.render([user("One?")]) == format.render([user("One?")], add_generation_prompt=True)


@pytest.mark.parametrize("name", catalog.names())
def test_an_open_answer_continues_what_was_asked_for(name: str) -> None:
    format = catalog.find(name)
    asked = format.render([user("One?")])
    begun = format.render([user("One?"), assistant("Uno, d")], continue_final=True)
    assert begun.endswith("Uno, d")
    if name != "yuan2":  # its prompt ends with a mark that no answer follows in a conversation
        assert begun.startswith(asked)
    assert format.render([user("One?"), assistant("")], continue_final=True) == asked


@pytest.mark.parametrize("name", catalog.names())
def test_what_a_model_says_is_marked_and_nothing_else(name: str) -> None:
    marks = AnswerMarks("\x02", "\x03")
    text = catalog.find(name).render([user("ask"), assistant("answer"), user("ask")], answer_marks=marks)
    if name == "cllm":  # it forgets all but the last exchange
        text = catalog.find(name).render([user("ask"), assistant("answer")], answer_marks=marks)
    [marked] = [part.partition("\x03")[0] for part in text.split("\x02")[1:]]
    assert "answer" in marked
    assert "ask" not in marked


def test_text_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    assert catalog.find("gemma").render([{"role": "user", "content": parts}]) == (
        "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n"
    )


def test_the_developer_is_the_system() -> None:
    format = catalog.find("vicuna_v1.1")
    assert format.render([{"role": "developer", "content": "Rhyme."}, user("Hi")]) == "Rhyme. USER: Hi ASSISTANT:"


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "text only"),
        ({"role": "tool", "content": "42"}, "no role 'tool'"),
    ],
)
def test_what_has_no_place_in_a_format_is_refused(message: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        catalog.find("vicuna_v1.1").render([message])


def test_a_format_may_come_from_anywhere() -> None:
    format = PromptFormat("mine", "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ eos_token }}")
    assert format.render([user("a"), assistant("b")], eos_token="!") == "<user>a<assistant>b!"
