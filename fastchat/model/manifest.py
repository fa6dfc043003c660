"""`fastchat_weights.json`: the SHA-256 of every tensor of a folder, and one digest of them all.

The digest counts names, types, shapes and bytes; how tensors are spread over files does not matter to it.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from fastchat.core.errors import SetupError
from fastchat.model.safetensors_file import TensorShape
from fastchat.model.shards import Checkpoint, Tensor, row_steps

NAME = "fastchat_weights.json"

OnBytes = Callable[[int], None]  # told how many more bytes are done


class DeltaFacts(BaseModel):
    """What applying a delta has to give, and the files with what addition alone does not restore."""

    target_digest: str
    target_tensors: dict[str, str]
    exact_files: dict[str, str]  # name → SHA-256


class Manifest(BaseModel):
    format: Literal["fastchat-weights/1"] = "fastchat-weights/1"
    made_by: str = ""
    digest: str
    tensors: dict[str, str] = Field(default_factory=dict)  # name → SHA-256 of its bytes
    delta: DeltaFacts | None = None


def read(folder: Path) -> Manifest | None:
    """None where the folder has none.

    Raises:
        SetupError: it is not readable.
    """
    file = folder / NAME
    if not file.is_file():
        return None
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise SetupError(f"'{file}' is no manifest of weights: {error.errors()[0]['msg']}.") from None


def write(folder: Path, manifest: Manifest) -> None:
    (folder / NAME).write_text(manifest.model_dump_json(indent=1, exclude_none=True) + "\n")


def whole_digest(shapes: Mapping[str, TensorShape], sums: Mapping[str, str]) -> str:
    lines = (f"{name}\t{shapes[name].dtype}\t{list(shapes[name].shape)}\t{sums[name]}\n" for name in sorted(sums))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def tensor_sums(checkpoint: Checkpoint, on_bytes: OnBytes) -> dict[str, str]:
    """The SHA-256 of each tensor; reads everything."""
    sums = {}
    for name, tensor in checkpoint.tensors.items():
        digest = hashlib.sha256()
        for start, stop in row_steps(tensor, 4):
            data = raw_bytes(checkpoint.read(name, start, stop))
            digest.update(data)
            on_bytes(len(data))
        sums[name] = digest.hexdigest()
    return sums


def of(folder: Path, on_bytes: OnBytes) -> Manifest:
    """A manifest of what is there now; reads everything."""
    checkpoint = Checkpoint.open(folder)
    sums = tensor_sums(checkpoint, on_bytes)
    return Manifest(made_by="verify", digest=whole_digest(checkpoint.tensors, sums), tensors=sums)


def verify(folder: Path, on_bytes: OnBytes) -> Manifest:
    """Compare every tensor with the manifest.

    Raises:
        SetupError: there is no manifest, or something differs; names what.
    """
    manifest = read(folder)
    if manifest is None:
        raise SetupError(
            f"'{folder}' has no {NAME} to compare with. Folders written by fastchat weights have one; "
            "--write makes one of what is there now."
        )
    checkpoint = Checkpoint.open(folder)
    known, found = manifest.tensors.keys(), checkpoint.tensors.keys()
    problems = [f"{name} is missing" for name in sorted(known - found)]
    problems += [f"{name} is not in the manifest" for name in sorted(found - known)]
    if not problems:
        sums = tensor_sums(checkpoint, on_bytes)
        problems = [f"{name} differs" for name, value in sums.items() if value != manifest.tensors[name]]
        if not problems and whole_digest(checkpoint.tensors, sums) != manifest.digest:
            problems = ["the type or shape of a tensor differs"]
    side_files = manifest.delta.exact_files if manifest.delta else {}
    problems += [f"{file} differs" for file, value in side_files.items() if not _is(folder / file, value)]
    if problems:
        raise SetupError(f"'{folder}' is not what its manifest says: {_list(problems)}. Fetch or build it again.")
    return manifest


def raw_bytes(tensor: Tensor) -> memoryview:
    """The tensor's memory, in C order."""
    import torch

    flat = tensor.contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy())


def file_sum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is(file: Path, value: str) -> bool:
    return file.is_file() and file_sum(file) == value


def _list(problems: list[str]) -> str:
    more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
    return ", ".join(problems[:5]) + more
