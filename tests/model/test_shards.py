"""Checkpoints as they lie on disk: whole, sharded, old, and broken."""

import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from fastchat.core.errors import SetupError
from fastchat.model import manifest
from fastchat.model.recast import recast
from fastchat.model.shards import Checkpoint
from fastchat.model.writing import WriteOptions, plan_shards
from tests.model.checkpoints import load, same_bits, save, tensors


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("shards", [1, 3])
def test_every_tensor_is_read_whole_and_in_rows(tmp_path: Path, kind: str, shards: int) -> None:
    weights = tensors(1) | {
        "scalar": torch.tensor(3.0),
        "steps": torch.arange(6).reshape(2, 3),
        "none": torch.zeros(0, 2),
    }
    checkpoint = Checkpoint.open(save(tmp_path / "m", weights, kind=kind, shards=shards))
    assert checkpoint.tensors.keys() == weights.keys()
    assert len(checkpoint.files) == shards
    for name, value in weights.items():
        assert checkpoint.tensors[name].shape == tuple(value.shape)
        torch.testing.assert_close(checkpoint.read(name).reshape(value.shape), value, rtol=0, atol=0)
    part = checkpoint.read("lm_head.weight", 3, 5)
    assert torch.equal(part, weights["lm_head.weight"][3:5])
    part.zero_()  # a copy of its own
    assert torch.equal(checkpoint.read("lm_head.weight", 3, 5), weights["lm_head.weight"][3:5])


def test_pytorchs_oldest_format_and_odd_strides(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", {"a": torch.zeros(1)}, kind="bin")
    weights = OrderedDict(a=torch.arange(6.0).reshape(2, 3).T, b=torch.ones(2))
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    checkpoint = Checkpoint.open(folder)
    assert torch.equal(checkpoint.read("a"), weights["a"])
    assert torch.equal(checkpoint.read("a", 1, 2), weights["a"][1:2])


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("ran",))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save(tmp_path / "m", {"a": torch.zeros(1)}, kind="bin")
    torch.save({"a": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(SetupError, match=r"would run code.*safetensors"):
        Checkpoint.open(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(SetupError):
        Checkpoint.open(folder)
    assert "ran" not in capsys.readouterr().out


def test_what_is_not_whole_is_refused(tmp_path: Path) -> None:
    whole = save(tmp_path / "m", tensors(1), shards=3)
    (whole / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(SetupError, match=r"1 of 3 files are missing.*00002"):
        Checkpoint.open(whole)
    (whole / "model.safetensors.index.json").unlink()
    with pytest.raises(SetupError, match="2 of 3 files"):
        Checkpoint.open(whole)
    cut = save(tmp_path / "cut", tensors(1)) / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(SetupError, match="no whole safetensors"):
        Checkpoint.open(tmp_path / "cut")
    cut.write_bytes(b"\xff" * 20)
    with pytest.raises(SetupError, match="no whole safetensors"):
        Checkpoint.open(tmp_path / "cut")


@pytest.mark.parametrize(("file", "word"), [("README.md", "no weights"), ("m.gguf", "fastchat weights convert")])
def test_a_folder_without_weights(tmp_path: Path, file: str, word: str) -> None:
    (tmp_path / file).write_text("")
    with pytest.raises(SetupError, match=word):
        Checkpoint.open(tmp_path)
    with pytest.raises(SetupError, match="no folder"):
        Checkpoint.open(tmp_path / "missing")


def test_shards_are_filled_in_order() -> None:
    shapes = _shapes()
    plan = plan_shards(shapes, 3000)
    assert [tensor.name for shard in plan for tensor in shard.tensors] == [tensor.name for tensor in shapes]
    assert all(sum(t.nbytes for t in shard.tensors) <= 3000 or len(shard.tensors) == 1 for shard in plan)
    assert [shard.file for shard in plan[:1]] == [f"model-00001-of-{len(plan):05}.safetensors"]
    assert [shard.file for shard in plan_shards(shapes, 10**9)] == ["model.safetensors"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", None])
def test_bin_becomes_safetensors_in_any_format(tmp_path: Path, dtype: Any) -> None:
    weights = tensors(1, dtype=torch.float32) | {"steps": torch.arange(3)}
    save(tmp_path / "old", weights, kind="bin", shards=2)
    recast(tmp_path / "old", tmp_path / "new", dtype, WriteOptions(max_shard_bytes=3000))
    wanted = {k: v.to(getattr(torch, dtype)) if dtype and v.is_floating_point() else v for k, v in weights.items()}
    assert same_bits(load(tmp_path / "new"), wanted)
    config = json.loads((tmp_path / "new" / "config.json").read_text())
    assert config.get("torch_dtype") == dtype
    assert sorted(path.name for path in (tmp_path / "new").glob("*.bin*")) == []
    manifest.verify(tmp_path / "new", lambda _: None)


def test_what_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "m", {"big": torch.tensor([1e6], dtype=torch.bfloat16)})
    with pytest.raises(SetupError, match=r"big has values beyond float16.*bfloat16"):
        recast(tmp_path / "m", tmp_path / "out", "float16", WriteOptions())


def test_transformers_loads_what_we_write(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32, "num_attention_heads": 2}
    model = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=32, **sizes))
    model.save_pretrained(tmp_path / "m")
    recast(tmp_path / "m", tmp_path / "out", None, WriteOptions(max_shard_bytes=4000))
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 2
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert same_bits(dict(loaded.state_dict()), dict(model.state_dict()))


def _shapes() -> list[Any]:
    from fastchat.model.shards import shape_of

    return [shape_of(name, value) for name, value in tensors(1).items()]
