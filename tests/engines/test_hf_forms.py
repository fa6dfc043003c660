"""Forms of answers with a tokenizer that llguidance cannot read by itself: T5's Unigram, with a blank in front."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import pytest
import pytest_asyncio
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from fastchat.engines.base import ChatPrompt, Engine, GenerationRequest, JsonConstraint, Sampling
from fastchat.engines.registry import EngineOptions, load_engine
from tests.engines import tiny_models
from tests.engines.asking import CLOCK, ask, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def unigram() -> transformers.PreTrainedTokenizerFast:
    letters = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_{}[]\",:.-+!?'<>/"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -5.0) for letter in letters), ("▁the", -3.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=tiny_models.CHAT_TEMPLATE,
        model_max_length=512,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def t5(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    tokenizer = unigram()
    folder: Path = tiny_models.t5(tmp_path_factory.mktemp("t5"), vocab_size=len(tokenizer))
    tokenizer.save_pretrained(folder)
    engine = await load_engine("hf", EngineOptions(str(folder), dtype="float32"))
    yield engine
    await engine.close()


async def test_json_validates_against_its_schema(t5: Engine) -> None:
    prompt = ChatPrompt([user("Describe a person.")])
    answer = await ask(
        t5, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=80), constraint=JsonConstraint(SCHEMA))
    )
    jsonschema.validate(json.loads(answer.text), SCHEMA)


async def test_a_demanded_tool_is_called(t5: Engine) -> None:
    prompt = ChatPrompt([user("What time is it?")], [CLOCK], "get_time")
    answer = await ask(t5, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=80)))
    assert [name for name, _ in answer.calls] == ["get_time"]
