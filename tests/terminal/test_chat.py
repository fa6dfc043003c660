import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from fastchat.client.chat import ChatDelta, ChatParameters, Message
from fastchat.core.errors import WorkerFailed
from fastchat.engines.registry import EngineOptions, load_engine
from fastchat.terminal.chat import Chat
from fastchat.terminal.commands import COMMANDS
from fastchat.terminal.conversation import Conversation
from fastchat.terminal.talkers import EngineTalker
from tests.terminal.conversations import CTRL_C, ListStyle, NumberingTalker, chat_of, said_in

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


async def test_a_question_brings_the_whole_conversation_to_the_model() -> None:
    chat, _, talker = chat_of("/system Be brief.", "a", "b")
    await chat.run()
    assert talker.asked[1] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "answer 1"},
        {"role": "user", "content": "b"},
    ]


async def test_without_history_each_question_stands_alone() -> None:
    chat, _, talker = chat_of("a", "b", "/regen", has_memory=False)
    await chat.run()
    assert talker.asked[1] == talker.asked[2] == [{"role": "user", "content": "b"}]


@pytest.mark.parametrize("prefix", ["/", "!!"])
async def test_an_exchange_can_be_asked_again_and_taken_back(prefix: str) -> None:
    chat, style, talker = chat_of("a", "b", f"{prefix}regen")
    await chat.run()
    assert said_in(chat) == ["user: a", "assistant: answer 1", "user: b", "assistant: answer 3"]
    assert talker.asked[1] == talker.asked[2]
    await chat.take(f"{prefix}remove")
    assert said_in(chat) == ["user: a", "assistant: answer 1"]
    await chat.take(f"{prefix}reset")
    assert said_in(chat) == []
    for command in ("remove", "regen"):
        await chat.take(f"{prefix}{command}")
        assert "There is nothing" in style.said[-1]
    assert len(talker.asked) == 3


@pytest.mark.parametrize("line", ["/exit", "!!exit"])
async def test_exit_ends_the_chat_and_so_does_the_end_of_input(line: str) -> None:
    chat, style, talker = chat_of(line, "never asked")
    await chat.run()
    assert (style.lines, talker.asked) == (["never asked"], [])


async def test_an_empty_line_ends_only_where_the_style_says_so() -> None:
    chat, style, talker = chat_of("", "asked")
    await chat.run()
    assert len(talker.asked) == 1
    chat, style, talker = chat_of(" ", "not asked")
    style.ends_at_empty_line = True
    await chat.run()
    assert not talker.asked


async def test_ctrl_c_twice_leaves_and_once_does_not() -> None:
    chat, style, talker = chat_of(CTRL_C, "a", CTRL_C, CTRL_C, "b")
    await chat.run()
    assert (len(talker.asked), style.lines) == (1, ["b"])


@pytest.mark.parametrize("line", ["/nonsense", "!!nonsense", "/", "!!"])
async def test_an_unknown_command_says_which_exist_and_asks_nobody(line: str) -> None:
    chat, style, talker = chat_of(line)
    await chat.run()
    assert all(command.name in style.complaints[0] for command in COMMANDS)
    assert not talker.asked


async def test_a_path_at_the_beginning_is_no_command() -> None:
    chat, _, talker = chat_of("/etc/hosts holds what?")
    await chat.run()
    assert talker.asked[0][-1]["content"] == "/etc/hosts holds what?"


async def test_help_names_every_command() -> None:
    chat, style, _ = chat_of("/help")
    await chat.run()
    assert all(f"/{command.name}" in style.said[-1] and command.help in style.said[-1] for command in COMMANDS)


async def test_sampling_can_be_changed_and_is_checked() -> None:
    chat, style, talker = chat_of(
        "/temperature 0.5", "/top_k 3", "/temperature hot", "/temperature 9", "/top_k 1.5", "a"
    )
    await chat.run()
    assert talker.parameters == [ChatParameters(temperature=0.5, top_k=3)]
    assert [complaint.split(" ")[0] for complaint in style.complaints] == ["temperature", "temperature:", "top_k"]
    await chat.take("/temperature")
    assert style.said[-1] == "temperature: 0.5"
    await chat.take("/defaults")
    assert chat.parameters == ChatParameters()


async def test_another_model_takes_over_the_conversation() -> None:
    chat, style, talker = chat_of("/models", "/model two", "/model three", "/model")
    await chat.run()
    assert style.said[1:] == ["* one\n  two", "Model: two", "Model: two"]
    assert "'three' does not exist" in style.complaints[0]
    assert talker.model == "two"


async def test_a_conversation_is_saved_and_goes_on(tmp_path: Path) -> None:
    chat, style, _ = chat_of("/system S", "a", f"!!save {tmp_path}/kept")
    await chat.run()
    saved = json.loads((tmp_path / "kept.json").read_text())
    assert (saved["model"], saved["system"]) == ("one", "S")
    other, style, talker = chat_of(f"/load {tmp_path}/kept", "b")
    await other.run()
    assert style.shown == ["user: a", "assistant: answer 1"]
    assert [message["content"] for message in talker.asked[0]] == ["S", "a", "answer 1", "b"]


@pytest.mark.parametrize("line", ["/save", "!!load", "/image"])
async def test_a_command_without_its_argument_says_what_it_takes(line: str) -> None:
    chat, style, _ = chat_of(line)
    await chat.run()
    assert "takes" in style.complaints[0]


async def test_images_go_with_the_next_message_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "a picture.png").write_bytes(PNG)
    chat, _, talker = chat_of(f"/image {tmp_path}/a picture.png", "what is it?", "thanks")
    await chat.run()
    image, text = talker.asked[0][0]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert text == {"type": "text", "text": "what is it?"}
    assert talker.asked[1][-1]["content"] == "thanks"


async def test_a_model_that_is_blind_gets_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    chat, style, _ = chat_of(f"/image {tmp_path}/a.png", talker=NumberingTalker(is_blind=True))
    await chat.run()
    assert "takes no images" in style.complaints[0]
    assert chat.images == []


async def test_a_failure_takes_the_question_back_if_nothing_was_said() -> None:
    chat, style, talker = chat_of("a", talker=NumberingTalker(failure=WorkerFailed("It died."), words=[]))
    await chat.run()
    assert (style.complaints, said_in(chat), chat.has_failed) == (["It died."], [], True)
    chat, style, talker = chat_of("a")
    await chat.run()
    talker.failure, talker.words = WorkerFailed("It died."), []
    await chat.take("/regen")
    assert said_in(chat) == ["user: a", "assistant: answer 1"], "the answer there was is kept"


async def test_what_was_said_before_a_failure_stays() -> None:
    chat, _, _ = chat_of("a", talker=NumberingTalker(failure=WorkerFailed("It died."), words=["Well, "]))
    await chat.run()
    assert said_in(chat) == ["user: a", "assistant: Well, "]


async def test_a_bug_is_not_swallowed() -> None:
    chat, _, _ = chat_of("a", talker=NumberingTalker(failure=KeyError("bug")))
    with pytest.raises(KeyError):
        await chat.run()


class EndlessTalker(NumberingTalker):
    """Presses Ctrl-C itself, after so many words."""

    words_before_ctrl_c = 1
    is_closed = False

    async def answer(self, messages: Sequence[Message], parameters: ChatParameters) -> AsyncGenerator[ChatDelta, None]:
        try:
            for _ in range(self.words_before_ctrl_c):
                yield ChatDelta(text="word ")
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            self.is_closed = True


@pytest.mark.parametrize(("words", "left"), [(2, ["user: a", "assistant: word word "]), (0, [])])
async def test_ctrl_c_stops_the_answer_and_what_was_said_stays(words: int, left: list[str]) -> None:
    talker = EndlessTalker()
    talker.words_before_ctrl_c = words
    chat, style, _ = chat_of("a", "/stats", talker=talker)
    await chat.run()
    assert said_in(chat) == left
    assert talker.is_closed
    assert style.answers[0].is_stopped
    assert "stopped" in style.said[-1]
    assert not chat.has_failed


async def test_debug_tells_what_fastchat_told() -> None:
    chat, style, _ = chat_of("a", debug_format="vicuna_v1.1")
    await chat.run()
    assert "'conv_template': 'vicuna_v1.1', 'prompt': '<1>', 'outputs': 'answer 1', 'speed (token/s)'" in style.said[-1]


async def test_a_model_in_this_process_answers_under_its_adapters_names_too() -> None:
    engine = await load_engine("scripted", EngineOptions("scripted", adapters={"pirate": "p"}))
    style = ListStyle(["one two three", "/models", "/max_tokens 2", "/model pirate", "one two three", "/top_k 0", "x"])
    chat = Chat(EngineTalker(engine, "base"), style, Conversation(), ChatParameters())
    await chat.run()
    assert style.complaints == []
    assert [answer.text for answer in style.answers] == ["one two three", "one two ", "x"]
    first, second, _ = style.answers
    assert (first.finish_reason, second.finish_reason) == ("stop", "length")
    assert "cut off" in second.summary()
    assert first.usage is not None
    assert f"{first.usage.completion_tokens} tokens" in first.summary()
    assert await chat.talker.prompt([{"role": "user", "content": "x"}]) == "user: x\nassistant: "
    await engine.close()
