"""What a model on disk is, told from its headers; no weights are read and no library for them is needed."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastchat.model import gguf, manifest
from fastchat.model.carried import read_config
from fastchat.model.safetensors_file import TensorShape
from fastchat.model.shards import Checkpoint

_GGUF_TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S"}
_GGUF_TYPES |= {12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K"}
_GGUF_TYPES |= {24: "IQ1_S", 25: "IQ4_NL", 30: "IQ4_XS", 32: "BF16", 38: "MXFP4"}
_LENGTHS = ("max_position_embeddings", "max_sequence_length", "seq_length", "max_seq_len", "n_positions")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A field is None where the model does not say."""

    path: Path
    kind: str  # model, delta, adapter or GGUF
    architecture: str | None
    parameters: int | None
    dtypes: tuple[str, ...]  # the commonest first
    files: int
    nbytes: int
    vocabulary: int | None
    context_length: int | None
    rope: str | None  # how positions are scaled
    has_template: bool
    manifest: str  # its digest, or that there is none

    def lines(self) -> Iterator[tuple[str, str]]:
        """For people: a label and a value each."""
        yield "kind", self.kind
        yield "architecture", self.architecture or "not said"
        if self.parameters is not None:
            yield "parameters", f"{_short(self.parameters)} ({self.parameters:,})"
        yield "number format", ", ".join(self.dtypes) or "not said"
        yield "size", f"{self.nbytes / 1e9:.2f} GB in {self.files} file{'s' if self.files != 1 else ''}"
        yield "vocabulary", f"{self.vocabulary:,} tokens" if self.vocabulary else "not said"
        yield "context", f"{self.context_length:,} tokens" if self.context_length else "not said"
        if self.rope:
            yield "positions", self.rope
        yield "chat template", "yes" if self.has_template else "none"
        yield "digest", self.manifest


def describe(path: Path) -> ModelInfo:
    """
    Raises:
        SetupError: it is no model, or not a whole one.
    """
    if path.suffix == ".gguf":
        return _describe_gguf(path)
    folder = path if path.is_dir() else path.parent
    if (folder / "adapter_config.json").is_file():
        path = next((file for file in folder.glob("adapter_model.*") if file.suffix != ".json"), path)
    checkpoint = Checkpoint.open(path)
    config = read_config(folder)
    text = config.get("text_config", config)  # of models that also see
    known = manifest.read(folder)
    names = checkpoint.tensors
    kind = "adapter" if path.name.startswith("adapter_model") else "delta" if known and known.delta else "model"
    return ModelInfo(
        path,
        kind,
        architecture=next(iter(config.get("architectures") or ()), config.get("model_type")),
        parameters=sum(tensor.elements for tensor in names.values()),
        dtypes=_by_size(names.values()),
        files=len(checkpoint.files),
        nbytes=checkpoint.nbytes,
        vocabulary=text.get("vocab_size"),
        context_length=next((text[key] for key in _LENGTHS if isinstance(text.get(key), int)), None),
        rope=_rope(text),
        has_template=_has_template(folder),
        manifest=f"{known.digest} (not checked; fastchat weights verify does)" if known else "none",
    )


def _describe_gguf(path: Path) -> ModelInfo:
    header = gguf.read_header(path)
    kind = header.get("general.file_type")
    words = header.get("general.architecture")
    shapes = gguf.tensor_shapes(path)
    embeddings = shapes.get("token_embd.weight")
    return ModelInfo(
        path,
        "GGUF",
        architecture=words if isinstance(words, str) else None,
        parameters=sum(map(math.prod, shapes.values())),
        dtypes=(_GGUF_TYPES.get(kind, f"type {kind}"),) if isinstance(kind, int) else (),
        files=1,
        nbytes=path.stat().st_size,
        vocabulary=embeddings[-1] if embeddings else None,
        context_length=gguf.number(header, "context_length") or None,
        rope=None,
        has_template="tokenizer.chat_template" in header,
        manifest="none",
    )


def _by_size(tensors: Iterable[TensorShape]) -> tuple[str, ...]:
    sizes: dict[str, int] = {}
    for tensor in tensors:
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.nbytes
    return tuple(sorted(sizes, key=lambda dtype: -sizes[dtype]))


def _rope(config: dict[str, Any]) -> str | None:  # Any: a file of JSON
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    return None if kind == "default" else f"{kind}, factor {scaling.get('factor')}"


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    try:
        return '"chat_template"' in (folder / "tokenizer_config.json").read_text()
    except (OSError, UnicodeDecodeError):
        return False


def _short(count: int) -> str:
    for unit, size in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)
