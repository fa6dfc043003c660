"""What llama.cpp does beyond the contract, on the real built-in model."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from fastchat.core.errors import ContextLengthExceeded, InvalidRequest, SetupError, WorkerFailed
from fastchat.engines.base import (
    ChatPrompt,
    GenerationRequest,
    GrammarConstraint,
    JsonConstraint,
    Sampling,
    TextPrompt,
)
from fastchat.engines.llamacpp import LlamaEngine, check, grammars, load
from fastchat.engines.registry import EngineOptions
from fastchat.model import builtin
from tests.engines import gguf_files
from tests.engines.asking import ask, chat, user

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

GREEDY = Sampling(temperature=0, max_tokens=24)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def extended(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaEngine]:
    """The model with tokens for filling gaps, and an adapter."""
    folder = tmp_path_factory.mktemp("extended")
    marks = {f"tokenizer.ggml.fim_{name}_token_id": token for name, token in (("pre", 4), ("suf", 5), ("mid", 6))}
    model = gguf_files.with_metadata(builtin.ensure(), folder / "model.gguf", marks)
    adapter = gguf_files.write_lora(folder / "adapter.gguf", tensor="blk.0.ffn_down.weight", inputs=1536, outputs=576)
    engine = await load(EngineOptions(str(model), context_length=256, slots=1, adapters={"odd": str(adapter)}))
    yield engine
    await engine.close()
    model.unlink()  # 100 MB that pytest would keep for days


def text_request(text: str, **sampling: Any) -> GenerationRequest:
    return GenerationRequest(TextPrompt(text), Sampling(**{"temperature": 0, "max_tokens": 12} | sampling))


async def test_it_tells_what_it_can_do(llama: LlamaEngine) -> None:
    info = llama.info
    assert (info.context_length, info.slots, info.embedding_size) == (512, 4, 576)
    assert info.features == {"chat", "tools", "completions", "embeddings", "logprobs", "json_schema"}


async def test_a_seed_brings_the_same_answer_again(llama: LlamaEngine) -> None:
    first, again = [await ask(llama, text_request("My name is", temperature=1.0, seed=7)) for _ in range(2)]
    other = await ask(llama, text_request("My name is", temperature=1.0, seed=8))
    assert first.text == again.text != other.text


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"min_p": 1.0}, {"top_p": 0.0}])
async def test_a_narrow_choice_is_the_greedy_one(llama: LlamaEngine, narrow: dict[str, float]) -> None:
    greedy = await ask(llama, text_request("The capital of France is"))
    narrowed = await ask(llama, text_request("The capital of France is", temperature=1.0, seed=1, **narrow))
    assert narrowed.text == greedy.text


@pytest.mark.parametrize(
    "penalty", [{"repetition_penalty": 1.5}, {"presence_penalty": 2.0}, {"frequency_penalty": 2.0}]
)
async def test_penalties_keep_the_model_from_repeating_itself(llama: LlamaEngine, penalty: dict[str, float]) -> None:
    request = text_request("The cat. The cat. The cat. The cat.", max_tokens=20)
    assert (await ask(llama, request)).text.count("The cat") > 2
    penalised = text_request("The cat. The cat. The cat. The cat.", max_tokens=20, **penalty)
    assert (await ask(llama, penalised)).text.count("The cat") <= 2


async def test_logit_bias_forbids_and_favours_tokens(llama: LlamaEngine) -> None:
    [paris], [rome] = [await llama.tokenize(word, add_special=False) for word in (" Paris", " Rome")]
    assert "Paris" in (await ask(llama, text_request("The capital of France is"))).text
    forbidden = await ask(llama, text_request("The capital of France is", logit_bias={paris: -100}))
    assert "Paris" not in forbidden.text
    favoured = await ask(llama, text_request("The capital of France is", logit_bias={rome: 100}, max_tokens=1))
    assert favoured.text == " Rome"


async def test_a_bias_for_a_token_that_does_not_exist_is_the_callers_error(llama: LlamaEngine) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(llama, text_request("Hi", logit_bias={2**32: 1}))
    assert caught.value.param == "logit_bias"


async def test_completions_have_logprobs_too(llama: LlamaEngine) -> None:
    request = GenerationRequest(TextPrompt("The capital of France is"), GREEDY, top_logprobs=2)
    answer = await ask(llama, request)
    assert "".join(entry.token for entry in answer.logprobs) == answer.text
    assert [entry.top[0].token for entry in answer.logprobs] == [entry.token for entry in answer.logprobs]


async def test_an_empty_prompt_begins_a_document(llama: LlamaEngine) -> None:
    answer = await ask(llama, text_request("", ignore_eos=True, max_tokens=3))
    assert answer.usage.prompt_tokens == 1
    assert answer.usage.completion_tokens == 3


async def test_the_next_turn_finds_the_prompt_of_the_last_one_in_the_cache(llama: LlamaEngine) -> None:
    messages = [user("Tell me a story about a fox, a hen and a very long winter in the mountains.")]
    free = Sampling(temperature=0.7, max_tokens=8)
    first = await ask(llama, GenerationRequest(ChatPrompt(messages), free))
    messages += [{"role": "assistant", "content": first.text}, user("Go on.")]
    second = await ask(llama, GenerationRequest(ChatPrompt(messages), free))
    assert first.usage.prompt_tokens - 4 <= second.usage.cached_tokens < second.usage.prompt_tokens


async def test_a_greedy_answer_does_without_the_cache_unless_told(llama: LlamaEngine) -> None:
    prompt = TextPrompt("One two three four five six seven eight nine ten eleven twelve")
    plain = [await ask(llama, GenerationRequest(prompt, GREEDY)) for _ in range(2)]
    assert [answer.usage.cached_tokens for answer in plain] == [0, 0]
    told = await ask(llama, GenerationRequest(prompt, GREEDY, extra={"cache_prompt": True}))
    assert told.usage.cached_tokens == told.usage.prompt_tokens - 1


async def test_leaving_while_the_prompt_is_read_stops_the_reading(llama: LlamaEngine) -> None:
    server = llama._server  # the slots are seen from inside only
    assert server is not None
    tokens = await llama.tokenize("word " * 480, add_special=True)
    reading = asyncio.create_task(ask(llama, GenerationRequest(TextPrompt(tokens), GREEDY)))
    while not (busy := [slot["id"] for slot in await server.get("/slots") if slot["is_processing"]]):
        assert not reading.done()
    reading.cancel()
    async with asyncio.timeout(30):
        while (slot := (await server.get("/slots"))[busy[0]])["is_processing"]:
            pass
    assert slot["n_prompt_tokens"] < len(tokens)


async def test_a_gbnf_grammar_is_obeyed(llama: LlamaEngine) -> None:
    request = GenerationRequest(ChatPrompt([user("Hi")]), GREEDY, GrammarConstraint('root ::= [ab]{3} "!"'))
    answer = await ask(llama, request)
    assert len(answer.text) == 4
    assert answer.text.strip("ab") == "!"


@pytest.mark.parametrize(
    "constraint",
    [
        JsonConstraint({"type": "objec"}),
        JsonConstraint({"not": {"type": "object"}}),  # llama.cpp would silently answer without a grammar
        JsonConstraint({"type": "array", "uniqueItems": True}),
        JsonConstraint({"$ref": "#/nowhere"}),
        JsonConstraint({"type": "string", "pattern": "("}),
        JsonConstraint({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
    ],
)
@pytest.mark.parametrize("prompt", [ChatPrompt([user("Hi")]), TextPrompt("Hi")])
async def test_a_schema_that_cannot_be_enforced_is_refused(
    llama: LlamaEngine, constraint: JsonConstraint, prompt: ChatPrompt | TextPrompt
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(llama, GenerationRequest(prompt, GREEDY, constraint))
    assert caught.value.param == "response_format"


@pytest.mark.parametrize("grammar", ["root ::= nowhere", "%llguidance {}\nstart: nowhere"])
async def test_a_grammar_that_cannot_be_read_is_refused(llama: LlamaEngine, grammar: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(llama, GenerationRequest(ChatPrompt([user("Hi")]), GREEDY, GrammarConstraint(grammar)))
    assert caught.value.param == "grammar"


async def test_an_answer_that_lost_its_form_is_an_error(llama: LlamaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if llguidance had given up after a while; which schemas make it do so changes with its versions."""
    monkeypatch.setattr("fastchat.engines.grammars.json_answer", lambda schema: 'root ::= "{" [a-z]+')
    monkeypatch.setattr(grammars, "probe", lambda grammar: f'root ::= "{grammars.PROBE_MARK}"')

    with pytest.raises(InvalidRequest, match="too intricate") as caught:
        await ask(llama, GenerationRequest(ChatPrompt([user("Hi")]), GREEDY, JsonConstraint()))
    assert caught.value.param == "response_format"


async def test_a_recursive_schema_that_can_end_is_enforced(llama: LlamaEngine) -> None:
    tree = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    answer = await ask(llama, GenerationRequest(ChatPrompt([user("Hi")]), GREEDY, JsonConstraint(tree)))
    assert answer.text.startswith("{")
    assert grammars.is_json(answer.text, is_cut=answer.finish_reason == "length")


@pytest.mark.parametrize("prompt", [ChatPrompt([user("Describe a cat as JSON.")]), TextPrompt("A cat as JSON: ")])
async def test_json_comes_on_one_line_and_ends(llama: LlamaEngine, prompt: ChatPrompt | TextPrompt) -> None:
    schema = {
        "type": "object",
        "properties": {"legs": {"type": "integer", "maximum": 9}, "sound": {"type": "string", "format": "noise"}},
        "required": ["legs", "sound"],
    }
    answer = await ask(llama, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=60), JsonConstraint(schema)))
    assert answer.finish_reason == "stop"
    assert json.dumps(json.loads(answer.text), ensure_ascii=False) == answer.text
    assert list(json.loads(answer.text)) == ["legs", "sound"]


async def test_json_of_any_kind_is_an_object(llama: LlamaEngine) -> None:
    request = GenerationRequest(
        ChatPrompt([user("Answer with JSON: what is the capital of France?")]),
        Sampling(temperature=0, max_tokens=100),
        JsonConstraint(),
    )
    assert (await ask(llama, request)).text.startswith("{")


async def test_a_begun_answer_is_completed_as_json(llama: LlamaEngine) -> None:
    messages = [user("Give me a number as JSON."), {"role": "assistant", "content": "Here it is: "}]
    constraint = JsonConstraint({"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]})
    answer = await ask(llama, GenerationRequest(ChatPrompt(messages), GREEDY, constraint))
    assert json.loads(answer.text)["n"] in (1, 2)


@pytest.mark.parametrize("url", ["http://127.0.0.1/cat.png", "file:///etc/passwd", "data:image/png;base64,aaaa"])
async def test_a_picture_is_refused_by_a_model_that_cannot_see(llama: LlamaEngine, url: str) -> None:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    with pytest.raises(InvalidRequest) as caught:
        await ask(llama, GenerationRequest(ChatPrompt([message]), GREEDY))
    assert caught.value.param == "messages"


async def test_a_suffix_needs_a_model_that_fills_gaps(llama: LlamaEngine, extended: LlamaEngine) -> None:
    request = GenerationRequest(TextPrompt("def add(a, b):\n    return", suffix="\n"), GREEDY)
    with pytest.raises(InvalidRequest, match="no suffix") as caught:
        await ask(llama, request)
    assert caught.value.param == "suffix"
    assert "infill" in extended.info.features
    filled = await ask(extended, request)
    assert filled.usage.prompt_tokens > len(await llama.tokenize("def add(a, b):\n    return\n", add_special=False))


async def test_an_adapter_changes_only_the_requests_that_name_it(extended: LlamaEngine, llama: LlamaEngine) -> None:
    assert extended.info.adapters == ("odd",)
    base = text_request("The capital of France is")
    odd = GenerationRequest(base.prompt, base.sampling, adapter="odd")
    plain, changed, plain_again = [await ask(extended, request) for request in (base, odd, base)]
    assert plain.text == plain_again.text == (await ask(llama, base)).text != changed.text
    with pytest.raises(InvalidRequest, match="Adapters here: odd"):
        await ask(extended, GenerationRequest(base.prompt, adapter="even"))


async def test_an_input_too_long_to_embed_is_told_in_tokens(llama: LlamaEngine) -> None:
    with pytest.raises(ContextLengthExceeded, match=r"2048 tokens.* has 3\d\d\d"):
        await llama.embed(["word " * 3000])


async def test_nothing_to_embed_is_the_callers_error(llama: LlamaEngine) -> None:
    with pytest.raises(InvalidRequest):
        await llama.embed([""])


async def test_closing_ends_what_runs_and_is_final() -> None:
    engine = await load(EngineOptions(str(builtin.ensure()), context_length=256, slots=1))
    stream = engine.generate(text_request("Once upon a time", max_tokens=None, ignore_eos=True))
    await anext(stream)
    await engine.close()
    with pytest.raises(WorkerFailed):
        async for _ in stream:
            pass
    with pytest.raises(WorkerFailed):
        await ask(engine, chat("Hello?"))
    assert not await engine.is_healthy()
    await engine.close()


async def test_a_draft_model_changes_the_speed_and_not_the_answer(llama: LlamaEngine) -> None:
    model = str(builtin.ensure())
    engine = await load(EngineOptions(model, context_length=256, slots=1, draft_model=model))
    request = text_request("The capital of France is")
    try:
        assert (await ask(engine, request)).text == (await ask(llama, request)).text
        reply = await engine._running().post("/completion", {"prompt": "Once", "n_predict": 12, "temperature": 0})
    finally:
        await engine.close()
    # It proposes to itself, so nearly everything is accepted.
    assert reply["timings"]["draft_n_accepted"] > reply["timings"]["draft_n"] / 2 > 0


async def test_a_draft_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(SetupError, match="There is no file"):
        check(EngineOptions(str(builtin.ensure()), draft_model="/nowhere/draft.gguf"))
