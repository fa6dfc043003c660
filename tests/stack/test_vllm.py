"""vLLM itself behind our gateway, as its users start it. Where there is none, `scripts/vllm-cpu-env` makes one."""

import asyncio
import json
import math
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import openai
import psutil
import pytest
import torch
import transformers

from tests.engines import tiny_models, vllm_server
from tests.stack.conftest import client_of
from tests.stack.system import Process, System, until

pytestmark = [*vllm_server.VLLM_MARKS, pytest.mark.xdist_group("vllm")]

PARIS = [{"role": "user", "content": "What is the capital of France?"}]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}

TOKENS = [5, 17, 99, 42, 7, 30]
TINY_FLAGS = ("--model-names", "tiny", "--dtype", "float32", "--context-length", "128")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("vllm")
    system = System(folder, {**vllm_server.ENVIRON, "FASTCHAT_CONTROLLER_TOKEN": "the-controllers-secret"})
    yield system
    system.stop()


@pytest.fixture(scope="module")
def vllm(system: System) -> Process:
    flags = ["--model-names", "tiny,tiny-too", "--max-model-len", "1024", "--controller", system.controller.url]
    process = system.start_server("vllm", vllm_server.arguments(*flags))
    vllm_server.wait_until_ready(process)
    return process


@pytest.fixture
async def client(system: System, vllm: Process) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(system) as client:

        async def is_listed() -> bool:
            try:
                return "tiny" in [model.id async for model in client.models.list()]
            except openai.APIError:
                return False

        await until(is_listed, "the gateway knows it")
        yield client


async def test_it_answers_under_every_name(client: openai.AsyncOpenAI) -> None:
    for name in ("tiny", "tiny-too"):
        answer = await client.chat.completions.create(model=name, messages=PARIS, temperature=0, max_tokens=16)
        assert "Paris" in (answer.choices[0].message.content or "")
        assert answer.choices[0].finish_reason == "stop"


async def test_streams_come_in_pieces(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="tiny", messages=PARIS, temperature=0, max_tokens=16, stream=True, stream_options={"include_usage": True}
    )
    events = [event async for event in stream]
    pieces = [event.choices[0].delta.content for event in events if event.choices and event.choices[0].delta.content]
    assert "Paris" in "".join(pieces)
    assert len(pieces) > 3
    assert events[-1].usage is not None


async def test_json_follows_its_schema(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "Name a city and how many people live there, as JSON."}],
        temperature=0,
        max_tokens=100,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}},
    )
    assert json.loads(answer.choices[0].message.content or "").keys() == {"city", "people"}


async def test_logprobs_are_told(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="tiny", messages=PARIS, temperature=0, max_tokens=4, logprobs=True, top_logprobs=2
    )
    assert answer.choices[0].logprobs is not None
    told = answer.choices[0].logprobs.content or []
    assert "".join(entry.token for entry in told) == answer.choices[0].message.content
    assert all(len(entry.top_logprobs) == 2 and math.exp(entry.logprob) <= 1 for entry in told)


async def test_a_prompt_that_is_too_long_is_the_callers_error(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length is 1024 tokens"):
        await client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "word " * 2000}])


async def test_it_finishes_what_it_does_and_leaves_nothing(client: openai.AsyncOpenAI, vllm: Process) -> None:
    family = psutil.Process(vllm.pid).children(recursive=True)
    stream = await client.chat.completions.create(
        model="tiny", messages=PARIS, max_tokens=60, stream=True, extra_body={"ignore_eos": True}
    )
    pieces = 0
    async for event in stream:
        pieces += bool(event.choices and event.choices[0].delta.content)
        if pieces == 3:
            vllm.signal(signal.SIGTERM)
    assert event.choices[0].finish_reason == "length"
    assert pieces > 30
    assert await asyncio.to_thread(vllm.wait) == 0
    assert [process for process in family if not is_over(process)] == []


def is_over(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_two_processes_hold_one_model(tmp_path: Path) -> None:
    """Tensor parallelism, against transformers in one process: the same probabilities of the next token."""
    # Attention heads of a size that vLLM has code for on CPUs, and an even number of them.
    folder = tiny_models.llama(tmp_path / "model", hidden_size=256)
    with vllm_server.running(tmp_path, *TINY_FLAGS, "--num-gpus", "2", model=folder) as vllm:
        names = [" ".join(process.cmdline()) for process in psutil.Process(vllm.pid).children(recursive=True)]
        assert sum("VLLM::Worker" in name for name in names) == 2, names
        told = next_token(vllm, "tiny")
    expected = logprobs_of(transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32))
    assert set(expected.topk(5).indices.tolist()) <= set(told)
    assert told == pytest.approx({token: expected[token].item() for token in told}, abs=1e-3)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_adapters_are_models_of_their_own(tmp_path: Path) -> None:
    import peft

    folder = tiny_models.llama(tmp_path / "model", hidden_size=256)
    adapters = {
        name: str(tiny_models.lora(tmp_path / name, folder, seed=seed)) for seed, name in ((1, "sql"), (2, "poet"))
    }
    with vllm_server.running(tmp_path, *TINY_FLAGS, "--adapters", json.dumps(adapters), model=folder) as vllm:
        told = {name: next_token(vllm, name) for name in ("tiny", *adapters)}
    assert told["sql"] != told["poet"] != told["tiny"]
    for name, path in adapters.items():
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        expected = logprobs_of(peft.PeftModel.from_pretrained(model, path))
        assert told[name] == pytest.approx({token: expected[token].item() for token in told[name]}, abs=1e-3)


def next_token(vllm: Process, model: str) -> dict[int, float]:
    """The likeliest tokens that come next, with their logprobs."""
    body = {"model": model, "prompt": TOKENS, "max_tokens": 1, "logprobs": 5, "return_tokens_as_token_ids": True}
    reply = httpx.post(f"{vllm.url}/v1/completions", json=body, timeout=60).raise_for_status().json()
    logprobs: dict[str, float] = reply["choices"][0]["logprobs"]["top_logprobs"][0]
    return {int(name.removeprefix("token_id:")): value for name, value in logprobs.items()}


@torch.inference_mode()
def logprobs_of(model: torch.nn.Module) -> torch.Tensor:
    logits: torch.Tensor = model(torch.tensor([TOKENS])).logits[0, -1]
    return logits.log_softmax(-1)
