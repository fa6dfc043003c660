"""A small model that guesses changes how fast an answer comes, and never what it is."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import transformers

from fastchat.core.errors import SetupError
from fastchat.engines.base import GenerationRequest, GrammarConstraint, Sampling, TextPrompt
from fastchat.engines.hf.engine import HfEngine
from fastchat.engines.registry import EngineOptions, load_engine
from tests.engines import tiny_models
from tests.engines.asking import ask

PROMPTS = ["the winner", "a", "in the world there is", "the the the the " * 12]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "model": tiny_models.llama(folder / "model"),
        "stranger": tiny_models.llama(folder / "stranger", seed=1, num_hidden_layers=1, max_position_embeddings=128),
    }


async def load(models: dict[str, Path], draft: str | None, **options: Any) -> HfEngine:
    draft_model = None if draft is None else str(models[draft])
    engine_args = {"threads": 1, "draft_tokens": 4, **options.pop("engine_args", {})}
    engine = await load_engine(
        "hf",
        EngineOptions(
            str(models["model"]),
            context_length=256,
            slots=4,
            device="cpu",
            dtype="float32",
            draft_model=draft_model,
            engine_args=engine_args,
            **options,
        ),
    )
    assert isinstance(engine, HfEngine)
    return engine


def request(prompt: str, tokens: int = 24, **sampling: Any) -> GenerationRequest:
    return GenerationRequest(TextPrompt(prompt), Sampling(max_tokens=tokens, ignore_eos=True, **sampling))


REQUESTS = [
    *(request(prompt, temperature=0) for prompt in PROMPTS),
    *(request(prompt, seed=3) for prompt in PROMPTS),
    request("a", temperature=0.5, top_p=0.8, seed=4, repetition_penalty=1.2, frequency_penalty=0.5),
    request("the winner", 250, temperature=0),
    GenerationRequest(
        TextPrompt("a"), Sampling(max_tokens=30, seed=1), GrammarConstraint('root ::= ("ab" | "cd" | "e")+ "."')
    ),
]


@pytest.mark.parametrize("draft", ["model", "stranger"])
async def test_answers_are_those_without_it(models: dict[str, Path], draft: str) -> None:
    alone, helped = await load(models, None), await load(models, draft)
    for one in REQUESTS:
        expected, found = await ask(alone, one), await ask(helped, one)
        assert found.text == expected.text
        assert found.usage == expected.usage
    together = await asyncio.gather(*(ask(helped, one) for one in REQUESTS))
    assert [answer.text for answer in together] == [(await ask(alone, one)).text for one in REQUESTS]
    await alone.close()
    await helped.close()


@pytest.mark.parametrize(("draft", "fewest", "most"), [(None, 24, 24), ("model", 5, 8), ("stranger", 9, 24)])
async def test_good_guesses_save_passes(models: dict[str, Path], draft: str | None, fewest: int, most: int) -> None:
    engine = await load(models, draft)
    passes = 0
    model = engine._requests._loaded.model
    forward = model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal passes
        passes += 1
        return forward(*args, **kwargs)

    model.forward = counted
    await ask(engine, request("the winner", temperature=0))
    assert fewest <= passes <= most
    await engine.close()


async def test_a_model_with_other_tokens_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    other = tiny_models.llama(tmp_path / "other")
    tokenizer = transformers.AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens(["something"])
    tokenizer.save_pretrained(other)
    with pytest.raises(SetupError, match="other tokens"):
        await load(models | {"other": other}, "other")


async def test_a_model_computed_one_by_one_cannot_be_helped(models: dict[str, Path]) -> None:
    with pytest.raises(SetupError, match="draft"):
        await load(models, "stranger", engine_args={"batching": "dense"})
