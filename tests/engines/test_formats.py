"""Which prompt format a model is served with, and what that does to its answers."""

import json
from pathlib import Path

import pytest

from fastchat.core.errors import InvalidRequest, SetupError
from fastchat.engines.base import ChatPrompt, GenerationRequest, JsonConstraint, Sampling, TextPrompt
from fastchat.engines.flags import ModelSettings
from fastchat.engines.formats import Choice, Formatted, choose_format, formatted
from fastchat.engines.registry import EngineOptions, load_engine
from fastchat.prompts import catalog
from fastchat.prompts.formats import PromptFormat
from tests.engines.asking import ask, user
from tests.engines.gguf_files import header
from tests.prompts.test_formats import MORE

HELLO = ChatPrompt([user("Hello!")])


def folder(path: Path, template: str | None = None) -> str:
    path.mkdir()
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template} if template else {}))
    return str(path)


def test_the_flag_wins_over_the_models_own_template(tmp_path: Path) -> None:
    path = folder(tmp_path / "vicuna-7b", "{{ messages }}")
    choice = choose_format("zephyr", path, path)
    assert choice.format is not None
    assert (choice.format.name, choice.can_chat) == ("zephyr", True)


def test_the_models_own_template_wins_over_its_name(tmp_path: Path) -> None:
    path = folder(tmp_path / "vicuna-7b", "{{ messages }}")
    assert choose_format(None, path, path) == Choice(None, True, "the model has a template of its own")


@pytest.mark.parametrize("kind", ["folder", "gguf"])
def test_a_model_without_a_template_gets_the_format_of_its_name(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        path = folder(tmp_path / "vicuna-7b")
    else:
        path = str(tmp_path / "vicuna-7b.Q4_0.gguf")
        Path(path).write_bytes(header({"general.architecture": "llama"}))
    choice = choose_format(None, path, path)
    assert choice.name == "vicuna_v1.1"
    assert choice.template_for("hf") == catalog.find("vicuna_v1.1").template


def test_a_wrong_flag_names_itself() -> None:
    with pytest.raises(SetupError, match=r"--conv-template: There is no prompt format and no file 'vicuna_v9'"):
        choose_format("vicuna_v9", "/x", "/x")


async def test_chats_end_at_the_formats_marks_and_texts_do_not() -> None:
    plain = await load_engine("scripted", EngineOptions("scripted", engine_args={"reply": "Good ### day"}))
    engine = formatted(plain, Choice(PromptFormat("x", "", stop=("###",)), True, ""))
    chat = await ask(engine, GenerationRequest(HELLO))
    assert (chat.text, chat.finish_reason) == ("Good ", "stop")
    assert (await ask(engine, GenerationRequest(TextPrompt("Hello!")))).text == "Good ### day"
    await engine.close()


async def test_the_callers_own_stops_hold_too() -> None:
    engine = Formatted(_Recorder(), PromptFormat("x", "", stop=("###",), stop_token_ids=(2,)))
    sampling = Sampling(stop=("END", "###"), stop_token_ids=(7,))
    with pytest.raises(_Seen) as seen:
        await ask(engine, GenerationRequest(HELLO, sampling))
    assert seen.value.sampling.stop == ("END", "###")
    assert seen.value.sampling.stop_token_ids == (7, 2)


class _Seen(Exception):
    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling


class _Recorder:
    def generate(self, request: GenerationRequest) -> None:
        raise _Seen(request.sampling)


async def test_without_a_format_there_is_no_chat_but_there_is_text() -> None:
    plain = await load_engine("scripted", EngineOptions("scripted"))
    engine = formatted(plain, Choice(None, can_chat=False, reason=""))
    assert "chat" not in engine.info.features
    for asking in (ask(engine, GenerationRequest(HELLO)), engine.render(HELLO)):
        with pytest.raises(InvalidRequest, match=r"--conv-template.*fastchat prompts list"):
            await asking
    assert (await ask(engine, GenerationRequest(TextPrompt("Hello!")))).text
    await engine.close()


async def test_an_engine_without_templates_is_left_alone() -> None:
    engine = await ModelSettings().load("scripted")
    assert type(engine).__name__ == "ScriptedEngine"
    await engine.close()


@pytest.mark.model
@pytest.mark.parametrize("name", ["llama-2", "chatglm2", "yuan2", "llama-3", "rwkv", "cllm"])
async def test_llama_cpp_renders_the_formats_as_we_do(name: str) -> None:
    """One format of each layout, and those with rare values."""
    engine = await ModelSettings(conv_template=[name], context_length=512).load("builtin", slots=1)
    try:
        for title, messages in MORE["conversations"].items():
            if messages[-1]["role"] == "user":
                assert await engine.render(ChatPrompt(messages)) == catalog.find(name).render(messages), title
    finally:
        await engine.close()


@pytest.mark.model
async def test_a_begun_answer_stands_where_the_format_has_it() -> None:
    engine = await ModelSettings(conv_template=["vicuna_v1.1"], context_length=512).load("builtin", slots=1)
    try:
        messages = [user("Hello!"), {"role": "assistant", "content": "Good d"}]
        text = await engine.render(ChatPrompt(messages))
        assert text == catalog.find("vicuna_v1.1").render(messages, continue_final=True)
        assert text.endswith("USER: Hello! ASSISTANT: Good d")
    finally:
        await engine.close()


async def test_marks_of_a_format_do_not_end_an_answer_of_a_set_form() -> None:
    engine = await load_engine("scripted", EngineOptions("scripted"))
    format = PromptFormat("marked", "{{ messages[-1].content }}", stop=("###",))
    said = {"type": "string", "const": "a ### b"}
    prompt = ChatPrompt([user("Hi ### there")])
    free = await ask(Formatted(engine, format), GenerationRequest(prompt))
    bound = await ask(Formatted(engine, format), GenerationRequest(prompt, constraint=JsonConstraint(said)))
    assert free.text == "Hi "
    assert bound.text == '"a ### b"'
