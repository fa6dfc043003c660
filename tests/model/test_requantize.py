from pathlib import Path

import numpy as np
import pytest

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.model import requantize as requantizing
from fastchat.model.gguf import read_header
from fastchat.model.requantize import Format, Progress, requantize
from fastchat.model.rounding import q4_0
from tests.engines import gguf_files

gguf = pytest.importorskip("gguf")
_TYPES = gguf.GGMLQuantizationType
WEIGHTS = np.random.default_rng(1).normal(size=(48, 64)).astype(np.float32)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file with a matrix in Q4_1, an embedding in Q8_0 and a norm, and metadata of several kinds."""
    path = tmp_path / "source.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_file_type(3)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "漢"])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5])
    for name, kind in {"blk.0.ffn_up.weight": _TYPES.Q4_1, "token_embd.weight": _TYPES.Q8_0}.items():
        writer.add_tensor(name, gguf.quantize(WEIGHTS, kind), raw_dtype=kind)
    writer.add_tensor("output_norm.weight", WEIGHTS[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(path: Path) -> dict[str, "gguf.ReaderTensor"]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def values(tensor: "gguf.ReaderTensor") -> "np.ndarray":
    return gguf.dequantize(tensor.data, tensor.tensor_type)


@pytest.mark.parametrize(("to", "most"), [("q4_0", 0.1), ("q8_0", 0.01), ("bf16", 0.004)])
def test_only_four_bits_are_rewritten(source: Path, tmp_path: Path, to: Format, most: float) -> None:
    target = tmp_path / "target.gguf"
    assert requantize(source, target, to) == 1
    before, after = tensors(source), tensors(target)
    assert list(before) == list(after)
    assert after["blk.0.ffn_up.weight"].tensor_type.name == to.upper()
    old, new = values(before["blk.0.ffn_up.weight"]), values(after["blk.0.ffn_up.weight"])
    assert 0 < np.linalg.norm(new - old) / np.linalg.norm(old) < most
    for name in ("token_embd.weight", "output_norm.weight"):
        assert after[name].tensor_type == before[name].tensor_type
        assert np.array_equal(after[name].data, before[name].data)


def test_what_the_file_says_of_itself_is_kept(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    requantize(source, target, "q8_0")
    old, new = read_header(source), read_header(target)
    assert new == old | {"general.file_type": 7}
    assert gguf.GGUFReader(target).fields["tokenizer.ggml.tokens"].contents() == ["a", "b", "漢"]


def test_it_tells_how_far_it_is(source: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    requantize(source, tmp_path / "target.gguf", "q8_0", report=seen.append)
    assert [(progress.done, progress.total) for progress in seen] == [(0, 3), (1, 3), (2, 3)]


def test_a_failure_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    def fail(_: Progress) -> None:
        raise KeyboardInterrupt

    target = tmp_path / "target.gguf"
    target.write_text("what was there before")
    with pytest.raises(KeyboardInterrupt):
        requantize(source, target, "q8_0", report=fail)
    assert target.read_text() == "what was there before"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["source.gguf", "target.gguf"]


def test_a_file_may_replace_itself(source: Path) -> None:
    assert requantize(source, source, "q8_0") == 1
    assert tensors(source)["blk.0.ffn_up.weight"].tensor_type.name == "Q8_0"


def test_files_with_nothing_to_do_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.gguf"
    empty.write_bytes(gguf_files.header({"general.architecture": "llama"}))
    with pytest.raises(SetupError, match="nothing to do"):
        requantize(empty, tmp_path / "target.gguf", "q4_0")
    (tmp_path / "text.gguf").write_text("no model")
    with pytest.raises(SetupError, match="not a GGUF model"):
        requantize(tmp_path / "text.gguf", tmp_path / "target.gguf", "q4_0")


def test_without_the_package_it_says_what_to_install(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requantizing, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="'gguf'"):
        requantize(source, tmp_path / "target.gguf", "q4_0")


def test_rounding_to_four_bits_is_better_than_the_plain_way() -> None:
    plain = gguf.dequantize(gguf.quantize(WEIGHTS, _TYPES.Q4_0), _TYPES.Q4_0)
    ours = gguf.dequantize(q4_0(WEIGHTS), _TYPES.Q4_0)
    assert np.linalg.norm(ours - WEIGHTS) < 0.95 * np.linalg.norm(plain - WEIGHTS)


def test_rounding_keeps_what_fits_exactly() -> None:
    grid = np.tile(np.arange(-8, 8, dtype=np.float32) / 4, (3, 2))
    assert np.array_equal(gguf.dequantize(q4_0(grid), _TYPES.Q4_0), grid)
    nothing = np.zeros((2, 32), dtype=np.float32)
    assert np.array_equal(gguf.dequantize(q4_0(nothing), _TYPES.Q4_0), nothing)
