"""make_delta and apply_delta: exact, resumable, and compatible with FastChat's own deltas."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from fastchat.core.errors import SetupError
from fastchat.model import deltas, manifest, writing
from fastchat.model.deltas import apply_delta, make_delta
from fastchat.model.folders import partial
from fastchat.model.writing import WriteOptions
from tests.model.checkpoints import VOCABULARY, WIDTH, load, same_bits, save, tensors, tuned

SMALL = WriteOptions(max_shard_bytes=2000)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.float8_e4m3fn])
@pytest.mark.parametrize("scale", [0.0, 0.0005, 0.02, 5.0])
def test_the_round_trip_is_exact(tmp_path: Path, dtype: torch.dtype, scale: float) -> None:
    base = tensors(1, dtype=dtype)
    target = tuned(base, 2, scale=scale)
    save(tmp_path / "base", base, shards=2)
    save(tmp_path / "target", target)
    make_delta(tmp_path / "base", tmp_path / "target", tmp_path / "delta", SMALL)
    apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / "out", SMALL)
    assert same_bits(load(tmp_path / "out"), target)


def test_addition_alone_is_not_exact(tmp_path: Path) -> None:
    """Or the exact files would be there for nothing."""
    base = tensors(1)
    target = tuned(base, 2)
    save(tmp_path / "base", base)
    save(tmp_path / "target", target)
    make_delta(tmp_path / "base", tmp_path / "target", tmp_path / "delta", SMALL)
    delta = load(tmp_path / "delta")
    naive = {name: base[name] + delta[name] for name in base}
    assert not same_bits(naive, target)
    for name in base:  # which is what FastChat's apply_delta makes of our delta
        assert torch.allclose(naive[name], target[name], rtol=0.01, atol=1e-4)


def test_odd_values_survive(tmp_path: Path) -> None:
    base = {
        "a": torch.tensor([1.0, -0.0, 5.0, 6e4, 1e-7, 1.0], dtype=torch.float16),
        "n": torch.tensor([250], dtype=torch.uint8),
    }
    target = {
        "a": torch.tensor([float("nan"), 0.0, float("inf"), -6e4, -0.0, 1.0], dtype=torch.float16),
        "n": torch.tensor([3], dtype=torch.uint8),
    }
    for extra in (base, target):
        extra |= {"flag": torch.tensor([True, False]) ^ (extra is target), "scalar": extra["a"][5].clone().reshape(())}
        extra["empty"] = torch.zeros(0, 4)
    save(tmp_path / "base", base)
    save(tmp_path / "target", target)
    make_delta(tmp_path / "base", tmp_path / "target", tmp_path / "delta", SMALL)
    apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / "out", SMALL)
    out = load(tmp_path / "out")
    assert out["scalar"].shape == ()
    assert same_bits({k: v.reshape(-1) for k, v in out.items()}, {k: v.reshape(-1) for k, v in target.items()})


def test_large_tensors_go_through_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastchat.model.shards._SEGMENT", 64)
    base = tensors(1)
    target = tuned(base, 2)
    save(tmp_path / "base", base)
    save(tmp_path / "target", target)
    low = WriteOptions(max_shard_bytes=2000, low_memory=True)
    make_delta(tmp_path / "base", tmp_path / "target", tmp_path / "delta", SMALL)
    apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / "out", low)
    assert same_bits(load(tmp_path / "out"), target)


@pytest.mark.parametrize("kind", ["bin", "safetensors"])
def test_fastchats_deltas_are_added(tmp_path: Path, kind: str) -> None:
    """They are fp16, as pickles, with rotary frequencies that newer bases lack; v0's have a token more."""
    base = tensors(1, dtype=torch.float16)
    delta = tensors(2, dtype=torch.float16, vocabulary=VOCABULARY + 1, scale=0.001)
    extra = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(8)}
    save(tmp_path / "base", base)
    save(tmp_path / "delta", delta | extra, kind=kind, shards=3)
    apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / "out", SMALL)
    out = load(tmp_path / "out")
    padded = {name: torch.zeros_like(value) for name, value in delta.items()}
    for name, value in base.items():
        padded[name][: len(value)] = value
    assert same_bits(out, {name: padded[name] + delta[name] for name in delta})
    assert out["lm_head.weight"].shape == (VOCABULARY + 1, WIDTH)


def test_a_float32_base_is_taken_as_fp16_as_fastchat_did(tmp_path: Path) -> None:
    base = tensors(1, dtype=torch.float32)
    delta = tensors(2, dtype=torch.float16, scale=0.001)
    save(tmp_path / "base", base)
    save(tmp_path / "delta", delta)
    apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / "out", SMALL)
    assert same_bits(load(tmp_path / "out"), {name: base[name].half() + delta[name] for name in delta})


@pytest.mark.parametrize(("base_rows", "target_rows"), [(VOCABULARY, VOCABULARY + 3), (VOCABULARY + 3, VOCABULARY)])
def test_other_vocabulary_sizes_are_exact_too(tmp_path: Path, base_rows: int, target_rows: int) -> None:
    target = tensors(2, vocabulary=target_rows)
    save(tmp_path / "base", tensors(1, vocabulary=base_rows))
    save(tmp_path / "target", target, config={"vocab_size": target_rows})
    make_delta(tmp_path / "base", tmp_path / "target", tmp_path / "delta", SMALL)
    apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / "out", SMALL)
    assert same_bits(load(tmp_path / "out"), target)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["vocab_size"] == target_rows


def test_the_rest_comes_from_the_delta(tmp_path: Path) -> None:
    base, delta, out = _applied(tmp_path)
    assert json.loads((out / "tokenizer_config.json").read_text()) == {"from": "delta"}
    assert "delta" in (out / "chat_template.jinja").read_text()
    assert (out / "generation_config.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == [base.name, delta.name, out.name]


def test_the_digest_does_not_depend_on_the_shards(tmp_path: Path) -> None:
    base, delta, out = _applied(tmp_path)
    apply_delta(base, delta, tmp_path / "whole", WriteOptions())
    one, other = manifest.read(out), manifest.read(tmp_path / "whole")
    assert one
    assert other
    assert one.digest == other.digest
    assert manifest.verify(out, _quiet).digest == one.digest


def test_verify_names_what_differs(tmp_path: Path) -> None:
    _, _, out = _applied(tmp_path)
    file = sorted(out.glob("model-*.safetensors"))[-1]
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(SetupError, match=r"\.weight differs"):
        manifest.verify(out, _quiet)


def test_a_wrong_base_is_noticed(tmp_path: Path) -> None:
    base = tensors(1)
    save(tmp_path / "base", base)
    save(tmp_path / "other", tuned(base, 9))
    save(tmp_path / "target", tuned(base, 2))
    make_delta(tmp_path / "base", tmp_path / "target", tmp_path / "delta", SMALL)
    with pytest.raises(SetupError, match="another one"):
        apply_delta(tmp_path / "other", tmp_path / "delta", tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tensors(1)
    target = tuned(base, 2)
    save(tmp_path / "base", base)
    save(tmp_path / "target", target)
    arguments = (tmp_path / "base", tmp_path / "target", tmp_path / "delta", SMALL)
    shards = _break_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        make_delta(*arguments)
    assert not (tmp_path / "delta").exists()
    assert len(shards) == 3
    written = _break_after(monkeypatch, 1000)
    make_delta(*arguments)
    assert written[0] == shards[2]  # the first two were kept
    _break_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / "out", SMALL)
    written = _break_after(monkeypatch, 1000)
    apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / "out", SMALL)
    assert shards[0] not in written
    assert same_bits(load(tmp_path / "out"), target)


@pytest.mark.parametrize("damage", ["shard", "inputs"])
def test_what_is_damaged_or_stale_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    base, delta, _ = _applied(tmp_path)
    out = tmp_path / "again"
    first = _break_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        apply_delta(base, delta, out, SMALL)
    if damage == "shard":
        file = partial(out) / first[0]
        file.write_bytes(file.read_bytes()[:-1] + b"\0")
    else:
        shutil.rmtree(base)
        save(base, tensors(1))
    written = _break_after(monkeypatch, 1000)
    apply_delta(base, delta, out, SMALL)
    assert written[0] == first[0]
    manifest.verify(out, _quiet)


def test_a_target_that_is_there_is_left_alone(tmp_path: Path) -> None:
    base, delta, out = _applied(tmp_path)
    (out / "mine.txt").write_text("")
    with pytest.raises(SetupError, match="--overwrite"):
        apply_delta(base, delta, out, SMALL)
    assert (out / "mine.txt").exists()
    apply_delta(base, delta, out, WriteOptions(overwrite=True))
    assert not (out / "mine.txt").exists()


def test_the_target_must_be_another_folder(tmp_path: Path) -> None:
    base, delta, _ = _applied(tmp_path)
    for same in (base, delta):
        with pytest.raises(SetupError, match="same folder"):
            apply_delta(base, delta, same, WriteOptions(overwrite=True))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda w: w.pop("model.norm.weight"), "lacks model.norm.weight"),
        (lambda w: w.update(extra=torch.zeros(1)), "only the base has extra"),
        (lambda w: w.update({"model.norm.weight": torch.zeros(3)}), "3 in the base and 16"),
    ],
)
def test_models_that_do_not_fit_are_refused_before_anything_is_written(tmp_path: Path, change: Any, word: str) -> None:
    base = tensors(1)
    save(tmp_path / "target", tuned(base, 2))
    change(base)
    save(tmp_path / "base", base)
    with pytest.raises(SetupError, match=word):
        make_delta(tmp_path / "base", tmp_path / "target", tmp_path / "delta", SMALL)
    assert not partial(tmp_path / "delta").exists()


def test_a_whole_model_is_no_delta(tmp_path: Path) -> None:
    base, _, out = _applied(tmp_path)
    with pytest.raises(SetupError, match="whole model"):
        apply_delta(base, out, tmp_path / "x", SMALL)


def test_too_small_a_disk_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, delta, _ = _applied(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 10))
    with pytest.raises(SetupError, match="are free"):
        apply_delta(base, delta, tmp_path / "x", SMALL)


def test_a_disk_that_fills_up_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, delta, _ = _applied(tmp_path)
    _break_after(monkeypatch, 2, OSError(28, "No space left on device"))
    with pytest.raises(SetupError, match="No space left"):
        apply_delta(base, delta, tmp_path / "x", SMALL)
    written = _break_after(monkeypatch, 1000)
    apply_delta(base, delta, tmp_path / "x", SMALL)
    assert not any("00001" in name for name in written)


def test_only_a_few_rows_are_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of tensors and shards: no allocation of ours is larger than a step."""
    monkeypatch.setattr("fastchat.model.shards._SEGMENT", 256)
    base = {"big.weight": torch.randn(4096, 16), "model.norm.weight": torch.randn(16)}
    save(tmp_path / "base", base)
    save(tmp_path / "target", tuned(base, 2))
    make_delta(tmp_path / "base", tmp_path / "target", tmp_path / "delta", WriteOptions())
    largest = []
    original = deltas._added

    def added(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        largest.append(one.untyped_storage().nbytes() + other.untyped_storage().nbytes())
        return original(one, other)

    monkeypatch.setattr(deltas, "_added", added)
    for low, segments in ((False, 4), (True, 1)):
        largest.clear()
        apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / f"out{low}", WriteOptions(low_memory=low))
        assert max(largest) == 2 * segments * 256 * 4


def _applied(tmp_path: Path) -> tuple[Path, Path, Path]:
    base = tensors(1)
    save(tmp_path / "base", base)
    save(tmp_path / "delta", tuned(base, 2))  # carries the name into its tokenizer
    shutil.move(tmp_path / "delta", tmp_path / "target")
    make_delta(tmp_path / "base", tmp_path / "target", tmp_path / "delta", SMALL)
    shutil.rmtree(tmp_path / "target")
    apply_delta(tmp_path / "base", tmp_path / "delta", tmp_path / "out", SMALL)
    return tmp_path / "base", tmp_path / "delta", tmp_path / "out"


def _break_after(
    monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException | None = None, original: Any = writing._write
) -> list[str]:
    """Names of the shards as they are written; the one after `number` is broken off."""
    names: list[str] = []

    def write(file: Path, *rest: Any) -> Any:
        names.append(file.name)
        if len(names) > number:
            file.write_bytes(b"half")
            raise error or KeyboardInterrupt
        return original(file, *rest)

    monkeypatch.setattr(writing, "_write", write)
    return names


def _quiet(_: int) -> None:
    pass
