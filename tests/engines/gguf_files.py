"""GGUF files for tests: a tiny adapter, and the built-in model with more to say about itself."""

import random
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np

Value = str | int | float
_ALIGNMENT = 32


def write_lora(path: Path, *, tensor: str, inputs: int, outputs: int) -> Path:
    """A rank-1 adapter that changes one matrix at random, enough to change what the model says."""
    numbers = random.Random(1)
    metadata: Mapping[str, Value] = {
        "general.type": "adapter",
        "general.architecture": "llama",
        "adapter.type": "lora",
        "adapter.lora.alpha": 1.0,
    }
    tensors = {
        f"{tensor}.lora_a": ((inputs, 1), [numbers.gauss(0, 1) for _ in range(inputs)]),
        f"{tensor}.lora_b": ((1, outputs), [numbers.gauss(0, 1) for _ in range(outputs)]),
    }
    path.write_bytes(_file(metadata, tensors))
    return path


def write_projector(path: Path, *, outputs: int) -> Path:
    """A tiny image encoder of LLaVA's kind with random weights: one layer, pictures of 28 by 28 pixels, 4 tokens each.

    `outputs` is the width of the language model it is made for.
    """
    numbers = np.random.default_rng(1)
    width, hidden, image, patch = 32, 64, 28, 14
    sizes = {"image_size": image, "patch_size": patch, "embedding_length": width, "feed_forward_length": hidden}
    sizes |= {"projection_dim": outputs, "block_count": 1, "attention.head_count": 2}
    biased = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_out"), (width, width))
    biased |= {"ffn_up": (hidden, width), "ffn_down": (width, hidden), "ln1": (width,), "ln2": (width,)}
    shapes = {"v.patch_embd.weight": (width, 3, patch, patch), "v.class_embd": (width,)}
    shapes["v.position_embd.weight"] = ((image // patch) ** 2 + 1, width)
    linear = {f"v.blk.0.{name}": shape for name, shape in biased.items()} | {"v.pre_ln": (width,)}
    linear |= {"mm.0": (outputs, width), "mm.2": (outputs, outputs)}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    for name, size in sizes.items():
        writer.add_uint32(f"clip.vision.{name}", size)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    for name in ("image_mean", "image_std"):
        writer.add_array(f"clip.vision.{name}", [0.5, 0.5, 0.5])
    for name, shape in shapes.items():
        writer.add_tensor(name, numbers.normal(0, 0.3, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def with_metadata(source: Path, target: Path, entries: Mapping[str, Value]) -> Path:
    """A copy that has some more entries in front. Their size keeps the tensors where they have to begin."""
    block = b"".join(_entry(key, value) for key, value in entries.items())
    empty_padding = len(_entry("test.padding", ""))
    block += _entry("test.padding", "." * (-(len(block) + empty_padding) % _ALIGNMENT))
    with source.open("rb") as old, target.open("wb") as new:
        magic, version, tensors, count = struct.unpack("<4sIQQ", old.read(24))
        new.write(struct.pack("<4sIQQ", magic, version, tensors, count + len(entries) + 1) + block)
        shutil.copyfileobj(old, new, 2**20)
    return target


def header(entries: Mapping[str, Value]) -> bytes:
    """A file without tensors."""
    return _file(entries, {})


def _file(entries: Mapping[str, Value], tensors: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> bytes:
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries))
    head += b"".join(_entry(key, value) for key, value in entries.items())
    data = b""
    for name, (shape, numbers) in tensors.items():
        dimensions = struct.pack(f"<{len(shape)}Q", *shape)
        head += _string(name) + struct.pack("<I", len(shape)) + dimensions + struct.pack("<IQ", 0, len(data))
        data += _padded(struct.pack(f"<{len(numbers)}f", *numbers))
    return _padded(head) + data


def _entry(key: str, value: Value) -> bytes:
    if isinstance(value, str):
        return _string(key) + struct.pack("<I", 8) + _string(value)
    if isinstance(value, int):
        return _string(key) + struct.pack("<II", 4, value)
    return _string(key) + struct.pack("<If", 6, value)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
