"""What the contract does not say of the engine `hf`, on a tiny model with random weights."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
import transformers

from fastchat.core.errors import ContextLengthExceeded, InvalidRequest, WorkerFailed
from fastchat.engines.base import (
    ChatPrompt,
    GenerationRequest,
    GrammarConstraint,
    JsonConstraint,
    Sampling,
    TextPrompt,
)
from fastchat.engines.hf.engine import HfEngine
from fastchat.engines.registry import EngineOptions, load_engine
from tests.engines import tiny_models
from tests.engines.asking import WEATHER, Answer, ask, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPTS = ["the winner", "a", "in the world there is", "ä😀", "the the the the"]
STRANGER = GenerationRequest(TextPrompt("in the beginning"), Sampling(max_tokens=30, ignore_eos=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.llama(tmp_path_factory.mktemp("model"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(folder: Path) -> AsyncIterator[HfEngine]:
    engine = await load(folder)
    yield engine
    await engine.close()


async def load(folder: Path, **args: Any) -> HfEngine:
    options = EngineOptions(
        str(folder), context_length=256, slots=4, device="cpu", dtype="float32", engine_args={"threads": 1, **args}
    )
    engine = await load_engine("hf", options)
    assert isinstance(engine, HfEngine)
    return engine


def continued(text: str, **sampling: Any) -> GenerationRequest:
    return GenerationRequest(TextPrompt(text), Sampling(**{"max_tokens": 16, "ignore_eos": True} | sampling))


async def among_strangers(engine: HfEngine, request: GenerationRequest) -> Answer:
    strangers = [asyncio.create_task(ask(engine, STRANGER)) for _ in range(3)]
    answer = await ask(engine, request)
    await asyncio.gather(*strangers)
    return answer


async def test_greedy_answers_are_those_of_generate_alone_and_among_strangers(engine: HfEngine, folder: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    for prompt in PROMPTS:
        tokens = await engine.tokenize(prompt, add_special=True)
        ids = torch.tensor([tokens])
        expected = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=16, min_new_tokens=16
        )[0, len(tokens) :]
        text = tiny_models.tokenizer().decode(expected, skip_special_tokens=True).rstrip("\ufffd")
        request = continued(prompt, temperature=0)
        assert (await ask(engine, request)).text.startswith(text)
        assert (await among_strangers(engine, request)).text.startswith(text)


@pytest.mark.parametrize("sampling", [{}, {"top_p": 0.9, "temperature": 0.7}, {"top_k": 20, "presence_penalty": 1.0}])
async def test_a_seed_gives_the_same_text_whoever_is_beside(engine: HfEngine, sampling: dict[str, Any]) -> None:
    request = continued("the winner", seed=5, **sampling)
    alone = await ask(engine, request)
    assert alone.text == (await ask(engine, request)).text == (await among_strangers(engine, request)).text
    assert alone.text != (await ask(engine, continued("the winner", seed=6, **sampling))).text


async def test_penalties_change_what_repeats(engine: HfEngine) -> None:
    plain = await ask(engine, continued("the the the", temperature=0, max_tokens=60))
    for penalty in ({"repetition_penalty": 50.0}, {"presence_penalty": 100.0}, {"frequency_penalty": 100.0}):
        varied = await ask(engine, continued("the the the", temperature=0, max_tokens=60, **penalty))
        assert len(set(varied.text)) > len(set(plain.text))


async def test_a_bias_decides(engine: HfEngine) -> None:
    [token] = await engine.tokenize("z", add_special=False)
    answer = await ask(engine, continued("a", temperature=0, max_tokens=5, logit_bias={token: 1000.0}))
    assert answer.text == "zzzzz"


async def test_an_end_that_is_ignored_is_never_drawn(engine: HfEngine) -> None:
    [end] = engine._requests._loaded.eos_token_ids
    answer = await ask(engine, continued("a", temperature=0, max_tokens=20, logit_bias={end: 1000.0}))
    assert answer.usage.completion_tokens == 20
    ended = await ask(engine, continued("a", ignore_eos=False, logit_bias={end: 1000.0}))
    assert (ended.text, ended.finish_reason, ended.usage.completion_tokens) == ("", "stop", 1)


async def test_logprobs_are_those_of_the_model_whatever_the_sampling(engine: HfEngine) -> None:
    [token] = await engine.tokenize("z", add_special=False)
    sampling = Sampling(temperature=0, max_tokens=1, logit_bias={token: 1000.0})
    answer = await ask(engine, GenerationRequest(TextPrompt("the"), sampling, top_logprobs=268))
    [entry] = answer.logprobs
    assert entry.token == "z"
    assert entry.logprob == next(other.logprob for other in entry.top if other.token == "z") < -0.01


async def test_leaving_while_the_prompt_is_read_frees_the_slot(folder: Path) -> None:
    engine = await load(folder, prompt_tokens_per_step=1)
    long = GenerationRequest(TextPrompt([65] * 250), Sampling(max_tokens=2))
    asking = [asyncio.create_task(ask(engine, long)) for _ in range(4)]
    await engine._thread.run(lambda: None)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert (await asyncio.wait_for(ask(engine, continued("a")), 60)).text
    assert await engine._thread.run(lambda: len(engine._backend._sequences)) == 0  # type: ignore[attr-defined]
    await engine.close()


async def test_a_failure_of_the_model_is_the_workers_and_others_go_on(engine: HfEngine) -> None:
    model = engine._requests._loaded.model
    stream = engine.generate(continued("a", max_tokens=200))
    await anext(stream)
    with pytest.MonkeyPatch.context() as patch:
        calls = iter([RuntimeError("lost")])

        def fail_once(*args: Any, **kwargs: Any) -> Any:
            for error in calls:
                raise error
            return type(model).forward(model, *args, **kwargs)

        patch.setattr(model, "forward", fail_once)
        with pytest.raises(WorkerFailed, match="RuntimeError"):
            async for _ in stream:
                pass
        assert await engine.is_healthy()
        assert (await ask(engine, continued("a"))).text
    assert (await ask(engine, continued("a"))).text


async def test_a_model_that_is_lost_is_unhealthy(folder: Path) -> None:
    engine = await load(folder)

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("lost")

    engine._requests._loaded.model.forward = fail
    for _ in range(2):
        with pytest.raises(WorkerFailed):
            await ask(engine, continued("a"))
    assert not await engine.is_healthy()
    await engine.close()


async def test_answers_go_on_between_the_texts_of_one_call_for_embeddings(folder: Path) -> None:
    engine = await load(folder)
    embed, step, done = engine._embedder.embed, engine._thread._scheduler.step, []

    def noted(name: str, work: Any, *args: Any) -> Any:
        done.append(name)
        return work(*args)

    engine._thread._scheduler.step = partial(noted, "step", step)  # type: ignore[method-assign]
    engine._embedder.embed = partial(noted, "embed", embed)  # type: ignore[method-assign]
    stream = engine.generate(continued("a", max_tokens=None))
    await anext(stream)
    texts = [[5] * 200, [6] * 250, [7, 8], [9] * 240, [10] * 230]
    found = await engine.embed(texts)
    await stream.aclose()
    between = "".join("e" if name == "embed" else "." for name in done).strip(".")
    assert between.count("e") > 1
    assert "ee" not in between
    alone = [(await engine.embed([text])).rows[0] for text in texts]
    assert [list(row) for row in found.rows] == [pytest.approx(list(row), abs=1e-4) for row in alone]
    assert found.prompt_tokens == sum(map(len, texts))
    await engine.close()


async def test_closing_waits_for_a_prompt_and_blocks_nobody(folder: Path) -> None:
    engine, held = await load(folder), threading.Event()
    preparing = asyncio.create_task(engine._prepare(lambda: held.wait(10)))
    await asyncio.sleep(0)
    closing = asyncio.create_task(engine.close())
    while not engine._prompts._shutdown:
        await asyncio.sleep(0.01)
    held.set()
    await closing
    assert await preparing


async def test_a_closed_engine_says_so(folder: Path) -> None:
    engine = await load(folder)
    stream = engine.generate(continued("a", max_tokens=200))
    await anext(stream)
    await engine.close()
    with pytest.raises(WorkerFailed, match="closed"):
        async for _ in stream:
            pass
    with pytest.raises(WorkerFailed, match="closed"):
        await ask(engine, continued("a"))
    with pytest.raises(WorkerFailed, match="closed"):
        await engine.tokenize("a", add_special=True)
    assert not await engine.is_healthy()
    await engine.close()


async def test_what_was_computed_before_is_told_as_cached(engine: HfEngine) -> None:
    prompt = "the world in the winter " * 4
    first = await ask(engine, continued(prompt))
    again = await ask(engine, continued(prompt + "or"))
    assert again.usage.cached_tokens >= 16
    assert again.usage.cached_tokens < first.usage.prompt_tokens
    assert (await ask(engine, continued(prompt, temperature=0))).usage.cached_tokens == 0
    assert (await ask(engine, continued(prompt, seed=1))).usage.cached_tokens == 0


@pytest.mark.parametrize(
    ("grammar", "texts"),
    [('root ::= "yes" | "no"', {"yes", "no"}), ("root ::= digit digit\ndigit ::= [3-4]", {"33", "34", "43", "44"})],
)
async def test_an_answer_follows_its_grammar(engine: HfEngine, grammar: str, texts: set[str]) -> None:
    request = GenerationRequest(TextPrompt("a"), Sampling(max_tokens=20), GrammarConstraint(grammar))
    answer = await ask(engine, request)
    assert answer.text in texts
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (GenerationRequest(TextPrompt("a"), constraint=GrammarConstraint("root ::= (")), "grammar"),
        (GenerationRequest(TextPrompt("a"), constraint=GrammarConstraint("root ::= nowhere")), "grammar"),
        (GenerationRequest(TextPrompt("a"), constraint=JsonConstraint({"not": {"type": "string"}})), "response_format"),
        (GenerationRequest(TextPrompt("a"), Sampling(logit_bias={9999: 1.0})), "logit_bias"),
        (GenerationRequest(TextPrompt("a", suffix="b")), "suffix"),
        (
            GenerationRequest(ChatPrompt([user("a")], [WEATHER]), constraint=GrammarConstraint('root ::= "a"')),
            "tools",
        ),
        (GenerationRequest(ChatPrompt([user("a")], [WEATHER], "other")), "tool_choice"),
        (GenerationRequest(ChatPrompt([{"role": "user", "content": [{"type": "image_url"}]}])), "messages"),
    ],
)
async def test_what_cannot_be_done_is_refused(engine: HfEngine, request_: GenerationRequest, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(engine, request_)
    assert caught.value.param == param


async def test_the_last_place_of_the_context_is_for_the_answer(engine: HfEngine) -> None:
    assert (await ask(engine, GenerationRequest(TextPrompt([65] * 255)))).usage.completion_tokens == 1
    with pytest.raises(ContextLengthExceeded):
        await ask(engine, GenerationRequest(TextPrompt([65] * 256)))


async def test_a_token_only_the_tokenizer_knows_is_the_callers_error(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["something"])
    tokenizer.save_pretrained(tmp_path / "model")
    engine = await load(tmp_path / "model")
    with pytest.raises(InvalidRequest):
        await ask(engine, continued("something"))
    request = GenerationRequest(TextPrompt("a"), Sampling(max_tokens=20), GrammarConstraint('root ::= "yes"'))
    assert (await ask(engine, request)).text == "yes"
    await engine.close()


async def test_nothing_at_all_is_the_beginning_of_a_document(engine: HfEngine) -> None:
    assert (await ask(engine, continued(""))).usage.prompt_tokens == 1


async def test_a_template_that_knows_tools_is_given_them(engine: HfEngine) -> None:
    """This one does not show names as we read them, so tools are described in words of ours."""
    text = await engine.render(ChatPrompt([user("a")], [WEATHER]))
    assert "get_weather" in text
    assert "<turn>tools" not in text
    assert "get_weather" not in await engine.render(ChatPrompt([user("a")], [WEATHER], "none"))


async def test_a_template_of_the_users_replaces_the_models(folder: Path) -> None:
    options = EngineOptions(str(folder), chat_template="{% for m in messages %}[{{ m.content }}]{% endfor %}")
    engine = await load_engine("hf", options)
    assert await engine.render(ChatPrompt([user("a"), user("b")])) == "[a][b]"
    await engine.close()


async def test_many_at_once_get_their_own_answers(engine: HfEngine) -> None:
    requests = [continued(prompt, temperature=0) for prompt in PROMPTS * 4]
    alone = [(await ask(engine, request)).text for request in requests[: len(PROMPTS)]]
    together = await asyncio.gather(*(ask(engine, request) for request in requests))
    assert [answer.text for answer in together] == alone * 4


async def test_deltas_come_while_the_answer_is_made(engine: HfEngine) -> None:
    async with aclosing(engine.generate(continued("a", max_tokens=200))) as stream:
        await anext(stream)
        assert engine._thread.is_healthy
        assert await engine._thread.run(lambda: engine._thread._scheduler.has_work)
