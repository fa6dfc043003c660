"""The handlers, without a browser: what a reader does, and what the page is told to show."""

import asyncio
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from fastchat.web.chat import SAME, Chat, View
from fastchat.web.models import NO_MODEL, ModelList
from fastchat.web.session import Conversation, Ending
from fastchat.web.settings import Pace
from tests.web.fake_api import FakeApi

SETTINGS = (0.7, 1.0, 256, "")
TAB: Any = SimpleNamespace(session_hash="tab", headers={"host": "box:8000"})


@pytest.fixture
async def chat(client: openai.AsyncOpenAI) -> Chat:
    pace = Pace(flush_s=0.01, sign_of_life_s=0.02)
    return Chat(client, ModelList(client, fresh_s=0, timeout_s=5), pace, api_url=None)


async def answered(chat: Chat, conversation: Conversation) -> list[View]:
    return [view async for view in chat.answer(TAB, conversation, *SETTINGS)]


async def asked_and_answered(chat: Chat, *questions: str) -> Conversation:
    conversation = Conversation()
    for question in questions:
        await chat.ask(question, conversation, "tiny-chat")
        await answered(chat, conversation)
    return conversation


async def test_asking_empties_the_box_and_offers_to_stop(chat: Chat) -> None:
    view = await chat.ask("  Hi  ", Conversation(), "tiny-chat")
    assert view.log[0]["content"][0]["text"] == "Hi"
    assert (view.question, view.send["visible"], view.stop["visible"]) == ("", False, True)


async def test_a_blank_question_is_not_asked(chat: Chat) -> None:
    conversation = Conversation()
    assert await chat.ask(" \n", conversation, "tiny-chat") == View()
    assert conversation.turns == []


async def test_the_answer_ends_with_send_instead_of_stop(chat: Chat, api: FakeApi) -> None:
    conversation = Conversation()
    await chat.ask("Hi", conversation, "tiny-chat")
    views = await answered(chat, conversation)
    assert views[-1].log[1]["content"][0]["text"] == "Hello from the fake API."
    assert (views[-1].send["visible"], views[-1].stop["visible"]) == (True, False)


async def test_nothing_is_shown_while_nothing_has_come(chat: Chat, api: FakeApi) -> None:
    api.held_after, conversation = 0, Conversation()
    await chat.ask("Hi", conversation, "tiny-chat")
    views = chat.answer(TAB, conversation, *SETTINGS)
    assert await anext(views) == View()
    await chat.stop(conversation)
    assert [view async for view in views][-1].send["visible"]


async def test_who_asks_before_the_picker_is_filled_is_answered(chat: Chat, api: FakeApi) -> None:
    conversation = Conversation()
    await chat.ask("Hi", conversation, None)
    await answered(chat, conversation)
    assert api.requests[0]["model"] == "tiny-chat"


async def test_without_a_model_nobody_is_asked(chat: Chat, api: FakeApi) -> None:
    api.models, conversation = [], Conversation()
    await chat.ask("Hi", conversation, "")
    await answered(chat, conversation)
    assert conversation.turns[0].answer.failure == NO_MODEL
    assert api.requests == []


async def test_an_answer_stopped_before_it_began_is_not_asked_for(chat: Chat, api: FakeApi) -> None:
    conversation = Conversation()
    await chat.ask("Hi", conversation, "tiny-chat")
    await chat.stop(conversation)
    views = await answered(chat, conversation)
    assert views[-1].send["visible"]
    assert api.requests == []


async def test_two_questions_at_once_are_each_answered_once_at_most(chat: Chat, api: FakeApi) -> None:
    conversation = Conversation()
    await chat.ask("one?", conversation, "tiny-chat")
    await chat.ask("two?", conversation, "tiny-chat")
    await asyncio.gather(answered(chat, conversation), answered(chat, conversation))
    assert [turn.answer.text for turn in conversation.turns] == ["", "Hello from the fake API."]
    assert len(api.requests) == 1


async def test_asking_again_replaces_the_last_answer(chat: Chat, api: FakeApi) -> None:
    conversation = await asked_and_answered(chat, "one?", "two?")
    api.pieces = ["Better."]
    await chat.ask_again(conversation, "other-model")
    await answered(chat, conversation)
    assert [turn.question for turn in conversation.turns] == ["one?", "two?"]
    assert conversation.turns[1].answer.text == "Better."
    assert api.requests[-1]["model"] == "other-model"
    assert [message["content"] for message in api.requests[-1]["messages"]] == [
        "one?",
        "Hello from the fake API.",
        "two?",
    ]


async def test_editing_a_question_forgets_what_came_after(chat: Chat) -> None:
    conversation = await asked_and_answered(chat, "one?", "two?", "three?")
    await chat.ask_differently(SimpleNamespace(index=3, value="zwei?"), conversation, "tiny-chat")
    assert [turn.question for turn in conversation.turns] == ["one?", "zwei?"]


@pytest.mark.parametrize(("row", "text"), [(1, "I never said this."), (99, "x"), (0, "  ")])
async def test_an_edit_that_means_no_question_changes_nothing(chat: Chat, row: int, text: str) -> None:
    conversation = await asked_and_answered(chat, "one?")
    view = await chat.ask_differently(SimpleNamespace(index=row, value=text), conversation, "tiny-chat")
    assert [turn.question for turn in conversation.turns] == ["one?"]
    assert view.log[0]["content"][0]["text"] == "one?"  # the browser has shown its own idea already


async def test_undo_puts_the_question_back_into_the_box(chat: Chat) -> None:
    conversation = await asked_and_answered(chat, "one?")
    view = await chat.undo(conversation)
    assert (view.question, view.log) == ("one?", [])


async def test_a_new_chat_breaks_the_running_answer_off(chat: Chat, api: FakeApi) -> None:
    api.held_after, conversation = 0, Conversation()
    await chat.ask("Hi", conversation, "tiny-chat")
    answer, views = conversation.current, chat.answer(TAB, conversation, *SETTINGS)
    await anext(views)
    assert await asyncio.to_thread(api.was_asked.wait, 5)
    assert (await chat.start_over(conversation)).log == []
    # The old answer's handler ends without a word: the page belongs to the new chat.
    assert [view async for view in views] == []
    assert await asyncio.to_thread(api.was_left.wait, 5)
    assert answer is not None
    assert answer.ending is Ending.STOPPED


async def test_a_tab_that_is_gone_breaks_its_answer_off(chat: Chat, api: FakeApi) -> None:
    api.held_after, conversation = 0, Conversation()
    await chat.ask("Hi", conversation, "tiny-chat")
    views = chat.answer(TAB, conversation, *SETTINGS)
    await anext(views)
    assert await asyncio.to_thread(api.was_asked.wait, 5)
    await chat.leave(TAB)
    assert await asyncio.to_thread(api.was_left.wait, 5)
    assert [view async for view in views][-1].send["visible"]
    await chat.leave(TAB)  # as every tab does in the end, also without an answer


async def test_a_page_that_is_right_is_told_nothing(chat: Chat) -> None:
    conversation = Conversation()
    first = await chat.refresh(conversation, None, None)
    assert first.model["value"] == "tiny-chat"
    assert await chat.refresh(conversation, "tiny-chat", first.shown) == (SAME, SAME, SAME)


async def test_a_new_model_leaves_the_choice_alone(chat: Chat, api: FakeApi) -> None:
    conversation = Conversation()
    shown = (await chat.refresh(conversation, None, None)).shown
    api.models.insert(0, "newcomer")
    picker = await chat.refresh(conversation, "tiny-chat", shown)
    assert picker.model["choices"] == [("newcomer", "newcomer"), ("tiny-chat", "tiny-chat")]
    assert "value" not in picker.model


async def test_the_command_shows_the_last_request_at_the_pages_origin(chat: Chat) -> None:
    conversation = await asked_and_answered(chat, "one?")
    command = await chat.command(TAB, conversation, "tiny-chat", *SETTINGS)
    assert "http://box:8000/v1/chat/completions" in command
    assert "one?" in command
