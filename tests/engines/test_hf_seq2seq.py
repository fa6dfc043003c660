"""Encoder-decoder models: many sequences decoded together are what each is alone."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from fastchat.engines.base import ChatPrompt, GenerationRequest, Sampling
from fastchat.engines.hf.backend import Backend
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.loading import load_model
from fastchat.engines.hf.seq2seq import Seq2SeqBackend
from fastchat.engines.hf.settings import HfArgs
from fastchat.engines.registry import EngineOptions, load_engine
from tests.engines import tiny_models
from tests.engines.asking import ask

LENGTH = 12
LONG, SHORT = 40, 3


def load(folder: Path, **fields: object) -> LoadedModel:
    options = EngineOptions(str(folder), device="cpu", dtype="float32", **fields)  # type: ignore[arg-type]
    return load_model(options, HfArgs(threads=1))


@pytest.fixture(
    scope="module",
    params=[
        lambda folder: tiny_models.t5(folder),
        lambda folder: tiny_models.t5(folder, tie_word_embeddings=True),
        lambda folder: tiny_models.bart(folder),
        lambda folder: tiny_models.bart(folder, forced_bos_token_id=tiny_models.START),
    ],
    ids=["t5", "t5-tied", "bart", "bart-forced-first"],
)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    make: Callable[[Path], Path] = request.param
    return load(make(tmp_path_factory.mktemp("model")))


def prompts(count: int) -> list[list[int]]:
    rng = random.Random(count)
    return [[rng.randrange(4, 260) for _ in range(rng.randrange(SHORT, LONG))] for _ in range(count)]


def generated(model: transformers.PreTrainedModel, prompt: list[int]) -> list[int]:
    """transformers' own greedy answer, from the first token that is chosen freely."""
    forced = getattr(model.config, "forced_bos_token_id", None) is not None
    answer = model.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=LENGTH + forced, min_new_tokens=LENGTH + forced
    )
    return list(answer[0, 1 + forced :].tolist())


def answers(
    backend: Backend, waiting: list[list[int]], *, each: int, pause: random.Random | None = None
) -> list[list[int]]:
    """Greedy answers; every `each` steps a new sequence joins, and some are late with their token."""
    found: dict[int, list[int]] = {}
    late: dict[int, int] = {}
    steps = 0
    while len(found) < len(waiting) or any(len(answer) < LENGTH for answer in found.values()):
        if steps % each == 0 and len(found) < len(waiting):
            key = len(found)
            found[key] = []
            backend.add(key, waiting[key])
        for key, token in list(late.items()):
            backend.append(key, token)
            del late[key]
        keys, logits = backend.step()
        for key, row in zip(keys, logits, strict=True):
            row[tiny_models.EOS] = -torch.inf
            token = int(row.argmax())
            found[key].append(token)
            if len(found[key]) == LENGTH:
                backend.remove(key)
            elif pause is not None and pause.random() < 0.3:
                late[key] = token
            else:
                backend.append(key, token)
        steps += 1
    return list(found.values())


@pytest.mark.parametrize("each", [1, 5])
def test_sequences_that_come_and_go_get_the_answers_they_get_alone(loaded: LoadedModel, each: int) -> None:
    wanted = [generated(loaded.model, prompt) for prompt in prompts(6)]
    assert len({tuple(answer) for answer in wanted}) > 3
    assert answers(Seq2SeqBackend(loaded), prompts(6), each=each) == wanted


def test_one_whose_token_comes_late_loses_nothing(loaded: LoadedModel) -> None:
    wanted = [generated(loaded.model, prompt) for prompt in prompts(5)]
    assert answers(Seq2SeqBackend(loaded), prompts(5), each=2, pause=random.Random(1)) == wanted


def test_all_that_are_due_are_computed_in_one_pass(loaded: LoadedModel) -> None:
    backend = Seq2SeqBackend(loaded)
    for key, prompt in enumerate(prompts(5)):
        backend.add(key, prompt)
    passes: list[int] = []
    hook = loaded.model.get_decoder().register_forward_hook(lambda *_: passes.append(1))
    for _ in range(3):
        keys, logits = backend.step()
        assert sorted(keys) == [0, 1, 2, 3, 4]
        for key, row in zip(keys, logits, strict=True):
            backend.append(key, int(row.argmax()))
    hook.remove()
    assert len(passes) == 3


def test_one_that_was_removed_is_computed_no_more(loaded: LoadedModel) -> None:
    backend = Seq2SeqBackend(loaded)
    backend.add(1, [5, 6])
    backend.add(2, [7, 8])
    backend.step()
    backend.append(2, 9)
    backend.remove(1)
    backend.remove(1)
    assert backend.step().keys == (2,)
    assert backend.step().keys == ()


def test_long_prompts_do_not_hold_up_the_others_for_long(loaded: LoadedModel) -> None:
    backend = Seq2SeqBackend(loaded)
    for key in range(40):
        backend.add(key, [5] * 200)
    first, second = backend.step().keys, backend.step().keys
    assert len(first) == 20
    assert sorted({*first, *second}) == list(range(40))


def test_the_model_is_left_as_it_was(loaded: LoadedModel) -> None:
    prompt = prompts(1)[0]
    before = generated(loaded.model, prompt)
    backend = Seq2SeqBackend(loaded)
    answers(backend, prompts(2), each=1)
    backend.close()
    assert generated(loaded.model, prompt) == before


def test_adapters_are_not_mixed_up(tmp_path: Path) -> None:
    base = tiny_models.t5(tmp_path / "base")
    adapter = tiny_models.lora(tmp_path / "loud", base, seed=1, targets=("q", "v", "wo"))
    alone = {}
    for name, path in ((None, base), ("loud", adapter)):
        backend = Seq2SeqBackend(load(path))
        backend.add(0, [5, 6, 7])
        alone[name] = backend.step().logits[0]
    assert (alone[None] - alone["loud"]).abs().max() > 0.1

    backend = Seq2SeqBackend(load(base, adapters={"loud": str(adapter)}))
    for key, name in enumerate((None, "loud", None, "loud")):
        backend.add(key, [5, 6, 7], adapter=name)
    keys, logits = backend.step()

    for key, row in zip(keys, logits, strict=True):
        torch.testing.assert_close(row, alone["loud" if key % 2 else None], atol=1e-3, rtol=1e-3)


def test_a_t5_gets_the_context_that_fastchat_gave_it_and_more_if_asked(tmp_path: Path) -> None:
    folder = tiny_models.t5(tmp_path)
    assert load(folder).context_length == 2048
    assert load(folder, context_length=4000).context_length == 4000


async def test_an_encoder_gets_the_end_of_the_text_it_is_used_to(tmp_path: Path) -> None:
    """FastChat's formats for T5 do not write it; its tokenizer adds it."""
    options = EngineOptions(str(tiny_models.t5(tmp_path)), device="cpu", dtype="float32", context_length=100)
    engine = await load_engine("hf", options)
    try:
        prompt = ChatPrompt([{"role": "user", "content": "Hi"}])
        text = await engine.render(prompt)
        answer = await ask(engine, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=3)))
        assert answer.usage.prompt_tokens == len(await engine.tokenize(text, add_special=False)) + 1
    finally:
        await engine.close()
