"""What the OpenVINO engine does beyond the contract, on the real built-in model; and what it refuses."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fastchat.core.errors import InvalidRequest, MissingPackage, SetupError, WorkerFailed
from fastchat.engines.base import (
    ChatPrompt,
    Engine,
    GenerationRequest,
    GrammarConstraint,
    JsonConstraint,
    Sampling,
    TextPrompt,
)
from fastchat.engines.openvino import check, load, settings
from fastchat.engines.openvino.forms import check_answer, form_of
from fastchat.engines.openvino.host import spelled
from fastchat.engines.openvino.process import PipelineProcess
from fastchat.engines.openvino.settings import host_settings
from fastchat.engines.registry import EngineOptions, check_options
from fastchat.model import builtin
from tests.engines import gguf_files
from tests.engines.asking import CLOCK, WEATHER, ask, chat, user
from tests.engines.conftest import LoadedEngines, installed

on_loop = pytest.mark.asyncio(loop_scope="session")
real = [pytest.mark.model, installed("openvino_genai"), on_loop]


def marked(test: Any) -> Any:
    for mark in real:
        test = mark(test)
    return test


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def openvino(engines: LoadedEngines) -> Engine:
    return await engines.get("openvino")


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf_files.header({"general.architecture": "llama", "llama.context_length": 4096}))
    return file


def text_request(text: str, **sampling: Any) -> GenerationRequest:
    return GenerationRequest(TextPrompt(text), Sampling(**{"temperature": 0, "max_tokens": 12} | sampling))


def json_request(schema: Mapping[str, Any], **sampling: Any) -> GenerationRequest:
    prompt = ChatPrompt([user("Answer in JSON.")])
    return GenerationRequest(
        prompt, Sampling(**{"temperature": 0, "max_tokens": 60} | sampling), JsonConstraint(schema)
    )


@marked
async def test_it_tells_what_it_can_do(openvino: Engine) -> None:
    info = openvino.info
    assert (info.engine, info.context_length, info.slots, info.embedding_size) == ("openvino", 512, 4, None)
    assert info.features == {"chat", "tools", "completions", "json_schema"}


@marked
async def test_a_seed_brings_the_same_answer_again_whoever_else_asks(openvino: Engine) -> None:
    request = text_request("My name is", temperature=1.0, seed=7)
    alone = await ask(openvino, request)
    others = [text_request("My name is", temperature=1.0, seed=seed) for seed in (8, 9)]
    again, *different = await asyncio.gather(*(ask(openvino, each) for each in (request, *others)))
    assert again.text == alone.text
    assert alone.text not in {answer.text for answer in different}


@marked
async def test_without_a_seed_answers_differ(openvino: Engine) -> None:
    answers = [await ask(openvino, text_request("My name is", temperature=1.0)) for _ in range(4)]
    assert len({answer.text for answer in answers}) > 1


@marked
@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"min_p": 1.0}, {"top_p": 0.0}])
async def test_a_narrow_choice_is_the_greedy_one(openvino: Engine, narrow: dict[str, float]) -> None:
    greedy = await ask(openvino, text_request("The capital of France is"))
    narrowed = await ask(openvino, text_request("The capital of France is", temperature=1.0, seed=1, **narrow))
    assert narrowed.text == greedy.text


@marked
@pytest.mark.parametrize(
    "penalty", [{"repetition_penalty": 1.5}, {"presence_penalty": 2.0}, {"frequency_penalty": 2.0}]
)
async def test_penalties_change_what_is_said(openvino: Engine, penalty: dict[str, float]) -> None:
    text = "The cat. The cat. The cat. The cat."
    free = await ask(openvino, text_request(text, max_tokens=20))
    penalised = await ask(openvino, text_request(text, max_tokens=20, **penalty))
    assert penalised.text.count("The cat") < free.text.count("The cat")


@marked
async def test_the_end_of_text_can_be_ignored(openvino: Engine) -> None:
    """A mark that ends every answer is neither shown nor an end then."""
    ended = await ask(openvino, chat("Say only: OK", max_tokens=60))
    assert ended.finish_reason == "stop"
    endless = await ask(openvino, chat("Say only: OK", max_tokens=60, ignore_eos=True))
    assert (endless.finish_reason, endless.usage.completion_tokens) == ("length", 60)
    assert endless.text.startswith(ended.text)
    assert "<|im_end|>" not in endless.text


@marked
async def test_a_grammar_gives_the_answer_its_form(openvino: Engine) -> None:
    prompt = TextPrompt("Is the sky blue?")
    answer = await ask(
        openvino, GenerationRequest(prompt, Sampling(temperature=0), GrammarConstraint('root ::= "ja" | "no"'))
    )
    assert answer.text in ("ja", "no")
    assert answer.finish_reason == "stop"


@marked
async def test_a_form_that_cannot_be_compiled_harms_nobody_else(openvino: Engine) -> None:
    """The library fails every step while such a request is in it."""
    broken = GenerationRequest(TextPrompt("a"), constraint=GrammarConstraint('root ::= "a" |'))
    bystander = asyncio.create_task(ask(openvino, chat("Tell me about the sea.", max_tokens=40)))
    with pytest.raises(InvalidRequest) as caught:
        await ask(openvino, broken)
    assert caught.value.param == "grammar"
    assert (await bystander).usage.completion_tokens == 40
    assert await openvino.is_healthy()


@marked
@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"type": "string"}},
        {"type": "array", "items": {"type": "integer", "multipleOf": 5}},
        {"properties": {"a": {"uniqueItems": True}}},
        {"allOf": [{"type": "object"}, {"required": ["a"]}]},
        {"$ref": "http://127.0.0.1:1/schema"},
        {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]},
        {"type": "string", "pattern": "a(?=b)"},
        {"type": "object", "properties": {"n": {"type": "number", "minimum": 3.5}}},
    ],
)
async def test_a_schema_that_would_be_passed_over_is_refused(openvino: Engine, schema: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(openvino, json_request(schema))
    assert caught.value.param == "response_format"


@pytest.mark.parametrize("text", ['{"n": 3,5}', '{"n": 5}', "", "[" * 100_000])
def test_an_answer_the_grammar_got_wrong_is_no_answer(text: str) -> None:
    schema = {"type": "object", "properties": {"n": {"maximum": 4}}}
    with pytest.raises(InvalidRequest) as caught:
        check_answer(text, JsonConstraint(schema))
    assert caught.value.param == "response_format"
    check_answer('{"n": 3}', JsonConstraint(schema))


def test_checking_an_answer_fetches_nothing() -> None:
    with pytest.raises(InvalidRequest):
        check_answer("1", JsonConstraint({"$ref": "http://127.0.0.1:1/schema"}))


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"not": {"const": 1}, "if": {}}},
        {"const": {"not": 1}},
        {"type": "integer", "minimum": 1, "uniqueItems": False},
    ],
)
def test_what_only_looks_like_a_keyword_is_none(schema: Mapping[str, Any]) -> None:
    assert form_of(json_request(schema), None) == {"schema": json.dumps(schema)}


@marked
async def test_a_model_may_choose_to_call_or_to_talk(openvino: Engine) -> None:
    past: list[dict[str, Any]] = []
    for number, city in enumerate(("Rome", "Oslo", "Lima", "Cairo", "Paris")):
        call = {"name": "get_weather", "arguments": json.dumps({"city": city})}
        asked = user(f"What is the weather in {city}?")
        past += [asked, {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{number}", "function": call}]}]
    calling = GenerationRequest(ChatPrompt(past[:-1], [WEATHER]), Sampling(temperature=0, max_tokens=60))
    called = await ask(openvino, calling)
    [(name, arguments)] = called.calls
    assert (name, set(json.loads(arguments)), called.finish_reason) == ("get_weather", {"city"}, "tool_calls")
    talking = ChatPrompt([user("Hello! Who are you?")], [WEATHER])
    said = await ask(openvino, GenerationRequest(talking, Sampling(temperature=0, max_tokens=24)))
    assert said.text
    assert not said.calls


@marked
async def test_json_and_tools_can_be_asked_for_together(openvino: Engine) -> None:
    constraint = JsonConstraint({"type": "object", "properties": {"hello": {"const": "you"}}, "required": ["hello"]})
    prompt = ChatPrompt([user("Say hello in JSON.")], [WEATHER, CLOCK])
    answer = await ask(openvino, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=60), constraint))
    assert answer.calls or json.loads(answer.text)["hello"] == "you"


@pytest.mark.full
@marked
async def test_a_full_cache_makes_requests_take_turns() -> None:
    """Four answers of 80 tokens do not fit into the cache together, yet all are finished."""
    options = EngineOptions(
        str(builtin.ensure()), context_length=128, slots=4, engine_args={"cache_tokens": 128, "prefix_cache": False}
    )
    engine = await load(options)
    try:
        requests = [text_request(f"Number {n} is", max_tokens=80, ignore_eos=True) for n in range(4)]
        answers = await asyncio.wait_for(asyncio.gather(*(ask(engine, request) for request in requests)), 120)
        assert [answer.usage.completion_tokens for answer in answers] == [80] * 4
    finally:
        await engine.close()


@marked
async def test_when_its_process_dies_it_says_so() -> None:
    engine = await load(EngineOptions(str(builtin.ensure()), context_length=256, slots=1))
    try:
        stream = engine.generate(text_request("Once", max_tokens=None, ignore_eos=True))
        await anext(stream)
        engine._process._child.kill()
        with pytest.raises(WorkerFailed):
            _ = [delta async for delta in stream]
        assert not await engine.is_healthy()
        with pytest.raises(WorkerFailed):
            await ask(engine, text_request("Once"))
    finally:
        await engine.close()
    await engine.close()


async def test_a_process_that_dies_in_the_middle_of_a_line_is_gone(model_file: Path) -> None:
    program = """import sys; sys.stdin.readline(); sys.stdout.write('{"id": 0, "tok')"""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=pipe, stdout=pipe)
    process = PipelineProcess(child, host_settings(EngineOptions(str(model_file))))
    process._reading = asyncio.create_task(process._read())
    with pytest.raises(WorkerFailed):
        await asyncio.wait_for(process.tokenize("a", add_special=False), 10)
    assert not process.is_alive
    await process.close()


@installed("openvino_genai")
async def test_a_folder_of_our_name_is_not_run_in_our_place(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fastchat").mkdir()
    (tmp_path / "fastchat" / "__init__.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError) as refusal:
        await PipelineProcess.start(host_settings(EngineOptions(str(model_file))))
    assert "the process ended" not in refusal.value.message  # but what the library finds wrong with the file


@marked
async def test_the_worker_itself_imports_nothing_of_openvino(openvino: Engine) -> None:
    await ask(openvino, text_request("Once"))
    assert not [name for name in sys.modules if name.startswith("openvino")]


@marked
async def test_the_library_cannot_report_to_its_makers() -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from fastchat.engines.openvino.host import import_library\n"
        "import_library()\n"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]\n"
        "from openvino.tools.ovc import telemetry\n"
        "print(type(telemetry).__module__)\n"
    )
    command = [sys.executable, "-c", program]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    assert output.decode().strip() == "openvino.tools.ovc.telemetry_stub"


@marked
async def test_a_damaged_model_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "damaged.gguf"
    with builtin.ensure().open("rb") as whole:
        file.write_bytes(whole.read(3_000_000))
    with pytest.raises(SetupError, match=r"damaged\.gguf.* is damaged"):
        await load(EngineOptions(str(file)))
    with pytest.raises(SetupError, match=r"OpenVINO cannot load .*damaged\.gguf"):
        await load(EngineOptions(str(file), engine_args={"keep_quality": False}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine_args": {"threads": 0}}, "threads: Input should be greater than"),
        ({"engine_args": {"frob": 1}}, "frob: .*Allowed: threads, batch"),
        ({"context_length": 5000}, "trained for 4096"),
        ({"engine_args": {"cache_tokens": 64}, "context_length": 128}, "64 do not hold one request of 128"),
        ({"device": "cuda"}, "--device cuda"),
        ({"adapters": {"a": "a.gguf"}}, "has no adapters"),
        ({"draft_model": "draft.gguf"}, "has no draft model"),
    ],
)
def test_options_are_refused_without_loading(model_file: Path, options: Mapping[str, Any], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        check_options("openvino", EngineOptions(str(model_file), **options))


@pytest.mark.parametrize("files", [[], ["config.json"], ["openvino_model.xml"]])
def test_a_folder_that_is_no_ir_is_refused(tmp_path: Path, files: list[str]) -> None:
    for file in files:
        (tmp_path / file).touch()
    with pytest.raises(SetupError, match="holds no OpenVINO IR"):
        check(EngineOptions(str(tmp_path)))


def test_the_cache_is_never_a_share_of_the_memory(model_file: Path) -> None:
    def blocks(**options: Any) -> int:
        return host_settings(EngineOptions(str(model_file), **options)).cache_blocks

    assert blocks() == 32768 / 32 + 2 * 16
    assert blocks(context_length=512, slots=4) == 4 * 512 / 32 + 2 * 4
    assert blocks(slots=2, engine_args={"cache_tokens": 8192}) == 8192 / 32 + 2 * 2


@pytest.mark.parametrize(("file_type", "is_rounded"), [(3, True), (7, False)])
def test_weights_that_the_library_rounds_are_known(tmp_path: Path, file_type: int, is_rounded: bool) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf_files.header({"general.file_type": file_type}))
    assert settings.is_rounded(file) == is_rounded


async def test_a_missing_package_says_how_to_get_it(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"'openvino_genai'.*fschat\[openvino\]"):
        await load(EngineOptions(str(model_file)))


@pytest.mark.parametrize(
    ("vocabulary", "pieces"),
    [
        ({b" the": 0, b"\xe6\xbc": 2}, [b" the", b"", b"\xe6\xbc"]),
        ({"▁the".encode(): 0, b"<0x0A>": 1, b"<0xE6>": 2}, [b" the", b"\n", b"\xe6"]),
    ],
)
def test_tokens_are_spelled_in_bytes(vocabulary: Mapping[bytes, int], pieces: list[bytes]) -> None:
    assert spelled(vocabulary) == pieces
