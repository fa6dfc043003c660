"""Many sequences computed together are what each is alone."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from fastchat.core.errors import SetupError
from fastchat.engines.hf.attention import KeyValueBlocks
from fastchat.engines.hf.backend import Backend
from fastchat.engines.hf.choosing import choose_backend
from fastchat.engines.hf.dense import DenseBackend
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.loading import load_model
from fastchat.engines.hf.paged import PagedBackend
from fastchat.engines.hf.settings import HfArgs
from fastchat.engines.registry import EngineOptions
from tests.engines import tiny_models

LENGTH = 12
# PEFT itself asks transformers for something by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

SIZES = {
    "vocab_size": len(tiny_models.tokenizer()),
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}


def model(config: transformers.PreTrainedConfig) -> LoadedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.set_num_threads(1)
        made = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        tiny_models._spread(made)
    return LoadedModel(made, tiny_models.tokenizer(), "decoder", 256, torch.device("cpu"), frozenset({1}))


FAMILIES: Mapping[str, Callable[[], transformers.PreTrainedConfig]] = {
    "llama": lambda: transformers.LlamaConfig(**SIZES),
    "qwen3": lambda: transformers.Qwen3Config(**SIZES),
    "sliding": lambda: transformers.MistralConfig(**SIZES, sliding_window=21),
    "sliding-and-full": lambda: transformers.Gemma3TextConfig(
        **SIZES, sliding_window=21, layer_types=["sliding_attention", "full_attention"] * 2
    ),
    "softcap": lambda: transformers.Gemma2Config(
        **SIZES, sliding_window=21, query_pre_attn_scalar=16, attn_logit_softcapping=2.0
    ),
    "experts": lambda: transformers.MixtralConfig(**SIZES, num_local_experts=4, sliding_window=None),
}


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request: pytest.FixtureRequest) -> LoadedModel:
    return model(FAMILIES[request.param]())


def prompts(count: int, *, longest: int = 60) -> list[list[int]]:
    rng = random.Random(count)
    return [[rng.randrange(4, 260) for _ in range(rng.randrange(1, longest))] for _ in range(count)]


def generated(loaded: LoadedModel, prompt: list[int]) -> list[int]:
    """transformers' own greedy answer."""
    own = loaded.model.config._attn_implementation
    loaded.model.set_attn_implementation("eager")
    ids = torch.tensor([prompt])
    answer = loaded.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=LENGTH,
        eos_token_id=[],
        pad_token_id=0,
    )
    loaded.model.set_attn_implementation(own)
    return list(answer[0, len(prompt) :].tolist())


def answers(backend: Backend, waiting: Sequence[list[int]], *, each: int = 1, **how: Any) -> list[list[int]]:
    """Greedy answers; every `each` steps a new sequence joins."""
    found: dict[int, list[int]] = {}
    steps = 0
    while len(found) < len(waiting) or any(len(answer) < LENGTH for answer in found.values()):
        if steps % each == 0 and len(found) < len(waiting):
            backend.add(len(found), waiting[len(found)], **how)
            found[len(found)] = []
        keys, logits = backend.step()
        for key, row in zip(keys, logits, strict=True):
            found[key].append(int(row.argmax()))
            if len(found[key]) == LENGTH:
                backend.remove(key)
            else:
                backend.append(key, found[key][-1])
        steps += 1
        assert steps < 1000
    return list(found.values())


def paged(loaded: LoadedModel, *, blocks: int = 200, rows: int = 64) -> PagedBackend:
    choose_backend(loaded, HfArgs(), 1, may_shorten=False)  # installs the attention
    return PagedBackend(loaded, KeyValueBlocks(blocks, 16), prompt_rows=rows)


def test_greedy_answers_are_those_of_generate(loaded: LoadedModel) -> None:
    waiting = prompts(9)
    expected = [generated(loaded, prompt) for prompt in waiting]
    choice = choose_backend(loaded, HfArgs(), 9, may_shorten=False)
    assert isinstance(choice.backend, PagedBackend)
    assert [answers(choice.backend, [prompt])[0] for prompt in waiting] == expected
    assert answers(choice.backend, waiting) == expected
    assert answers(choice.backend, waiting, each=3) == expected


@pytest.mark.parametrize("rows", [1, 7])
def test_a_prompt_read_in_parts_is_the_same(loaded: LoadedModel, rows: int) -> None:
    waiting = prompts(5)
    assert answers(paged(loaded, rows=rows), waiting) == answers(paged(loaded, rows=1000), waiting)


def test_a_long_prompt_does_not_keep_others_waiting(loaded: LoadedModel) -> None:
    backend = paged(loaded, rows=8)
    backend.add(0, [5, 6])
    assert backend.step().keys == (0,)
    backend.append(0, 7)
    backend.add(1, list(range(4, 104)))
    for _ in range(12):
        assert backend.step().keys == (0,)
        backend.append(0, 7)
    assert set(backend.step().keys) == {0, 1}


def test_when_the_cache_is_full_the_youngest_begins_anew(loaded: LoadedModel) -> None:
    waiting = prompts(6)
    assert answers(paged(loaded, blocks=9), waiting) == answers(paged(loaded), waiting)


def test_a_beginning_others_have_computed_is_used_again(loaded: LoadedModel) -> None:
    backend, common = paged(loaded), list(range(4, 44))
    backend.add(0, [*common, 50])
    fresh = backend.step().logits[0]
    backend.remove(0)
    backend.add(1, [*common, 50], may_share=True)
    shared = backend.step().logits[0]
    assert backend.shared_tokens(1) == 32
    assert torch.allclose(fresh, shared, atol=1e-4)
    backend.add(2, [*common, 50])
    assert torch.allclose(backend.step().logits[0], fresh, atol=1e-4)
    assert backend.shared_tokens(2) == 0


def test_what_a_sequence_finds_again_of_its_own_was_not_shared(loaded: LoadedModel) -> None:
    """It gave up its blocks to an older one, and nobody has taken all of them since."""
    backend = paged(loaded, blocks=6)
    backend.add(0, list(range(4, 36)))
    backend.add(1, list(range(40, 88)), may_share=True)
    done = []
    for _ in range(30):
        for key in backend.step().keys:
            backend.append(key, 9)
        done.append(backend._sequences[1].done)
        assert backend.shared_tokens(1) == 0
    assert done != sorted(done)  # it had to begin anew


def test_alone_too_only_the_last_token_of_a_prompt_is_told(loaded: LoadedModel) -> None:
    """With a large vocabulary the logits of a long prompt would take more memory than the model."""
    shapes = []
    hook = loaded.model.register_forward_hook(lambda _, __, output: shapes.append(output.logits.shape[1]))
    backend = DenseBackend(loaded)
    backend.add(0, list(range(4, 44)))
    backend.step()
    backend.append(0, 9)
    backend.step()
    hook.remove()
    assert shapes == [1, 1]


def test_the_last_token_of_a_prompt_is_always_computed(loaded: LoadedModel) -> None:
    backend = paged(loaded)
    for key in (0, 1):
        backend.add(key, list(range(4, 36)), may_share=True)
        assert backend.step().keys == (key,)
        backend.remove(key)
    backend.add(2, list(range(4, 36)), may_share=True)
    backend.step()
    assert backend.shared_tokens(2) == 16


def test_removing_at_any_time_gives_everything_back(loaded: LoadedModel) -> None:
    backend = paged(loaded, blocks=12, rows=5)
    free = backend._pool.available
    for steps in range(6):
        backend.add(0, list(range(4, 24)))
        for _ in range(steps):
            for key in backend.step().keys:
                backend.append(key, 9)
        backend.remove(0)
        backend.remove(0)
        assert backend._pool.available == free
    assert backend.step().keys == ()


def test_the_model_stays_fit_for_other_uses(loaded: LoadedModel) -> None:
    """Embeddings read padded batches with the same model."""
    loaded.model.set_attn_implementation("eager")
    tokens = torch.tensor([list(range(4, 44)), [*range(4, 24), *[0] * 20]])
    mask = (tokens != 0).long()
    with torch.inference_mode():
        expected = loaded.model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        paged(loaded)
        found = loaded.model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
    assert torch.allclose(found[mask.bool()], expected[mask.bool()], atol=1e-4)


UNSUITABLE: Mapping[str, Callable[[], transformers.PreTrainedConfig]] = {
    "no attention at all": lambda: transformers.MambaConfig(
        vocab_size=SIZES["vocab_size"], hidden_size=64, num_hidden_layers=2, state_size=8, eos_token_id=1
    ),
    "positions by length": lambda: transformers.LlamaConfig(
        **SIZES, rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    ),
    "attention of its own": lambda: transformers.BloomConfig(
        vocab_size=SIZES["vocab_size"], hidden_size=64, n_layer=2, n_head=4, eos_token_id=1
    ),
}


@pytest.mark.parametrize("family", UNSUITABLE)
def test_every_other_decoder_is_computed_alone(family: str, caplog: pytest.LogCaptureFixture) -> None:
    loaded = model(UNSUITABLE[family]())
    backend = choose_backend(loaded, HfArgs(), 4, may_shorten=False).backend
    assert isinstance(backend, DenseBackend)
    assert "because of this model" in caplog.text
    waiting = prompts(3)
    assert answers(backend, waiting) == [generated(loaded, prompt) for prompt in waiting]
    with pytest.raises(SetupError, match="batching"):
        choose_backend(loaded, HfArgs(batching="paged"), 4, may_shorten=False)


def test_one_by_one_can_be_asked_for() -> None:
    loaded = model(FAMILIES["llama"]())
    backend = choose_backend(loaded, HfArgs(batching="dense"), 4, may_shorten=False).backend
    assert isinstance(backend, DenseBackend)
    waiting = prompts(3)
    assert answers(backend, waiting) == answers(paged(loaded), waiting)


def test_a_cache_too_small_for_the_context_is_refused_or_shortens_it() -> None:
    loaded = replace(model(FAMILIES["llama"]()), context_length=512)
    args = HfArgs(cache_tokens=64)
    with pytest.raises(SetupError, match="context of 512 tokens"):
        choose_backend(loaded, args, 4, may_shorten=False)
    assert choose_backend(loaded, args, 4, may_shorten=True).context_length == 64 + 16


def test_sequences_of_several_adapters_are_each_as_alone(tmp_path: Path) -> None:
    base = tiny_models.llama(tmp_path / "base")
    adapters = {name: str(tiny_models.lora(tmp_path / name, base, seed=seed)) for seed, name in enumerate("ab", 1)}
    options = EngineOptions(str(base), device="cpu", dtype="float32", context_length=256, adapters=adapters)
    loaded = load_model(options, HfArgs(threads=1))
    backend = choose_backend(loaded, HfArgs(), 4, may_shorten=False).backend
    prompt = list(range(4, 44))
    alone = {name: answers(backend, [prompt], adapter=name)[0] for name in (None, "a", "b")}
    assert len({tuple(answer) for answer in alone.values()}) == 3
    found: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for key, name in enumerate(alone):
        backend.add(key, prompt, adapter=name, may_share=True)
    for _ in range(LENGTH):
        keys, logits = backend.step()
        for key, row in zip(keys, logits, strict=True):
            found[key].append(int(row.argmax()))
            backend.append(key, found[key][-1])
    assert list(found.values()) == list(alone.values())
