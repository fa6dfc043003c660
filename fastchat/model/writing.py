"""Writing a checkpoint shard by shard, a few rows at a time, so that it can be stopped and gone on with.

A journal in the folder says which shards are finished and what is in them. They are kept if they still are what the
journal says and the inputs have not changed; a shard that was being written is begun again.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, Field, ValidationError

from fastchat.core.errors import SetupError
from fastchat.model import manifest
from fastchat.model.folders import built_whole, check_free
from fastchat.model.manifest import Manifest, OnBytes, file_sum, raw_bytes, tensor_sums
from fastchat.model.safetensors_file import TensorShape, header_bytes, in_file_order
from fastchat.model.shards import Checkpoint, Tensor, row_steps

_JOURNAL = "fastchat_progress.json"
_METADATA = {"format": "pt"}  # transformers reads no file without it


@dataclass(frozen=True, slots=True)
class WriteOptions:
    max_shard_bytes: int = 5 * 10**9
    low_memory: bool = False
    overwrite: bool = False
    on_bytes: OnBytes = field(default=lambda _: None)

    @property
    def segments(self) -> int:
        """How much of a tensor is held at a time; see `row_steps`."""
        return 1 if self.low_memory else 4


@dataclass(frozen=True, slots=True)
class Shard:
    number: int
    file: str
    tensors: tuple[TensorShape, ...]


class ShardRecord(BaseModel):
    """What is known of a finished shard."""

    file: str
    tensors: dict[str, str]  # name → SHA-256
    notes: dict[str, str] = Field(default_factory=dict)  # the maker's own
    side_files: dict[str, str] = Field(default_factory=dict)  # name → SHA-256


class Journal(BaseModel):
    inputs: str
    shards: list[ShardRecord] = Field(default_factory=list)


class Maker(Protocol):
    """Gives the rows of each tensor in their order, and is told when a shard is done."""

    def rows(self, tensor: TensorShape, start: int, stop: int) -> Tensor: ...

    def finish(self, record: ShardRecord, folder: Path) -> None:
        """May add notes and side files to the record."""
        ...

    def check(self, tensor: TensorShape, digest: str) -> None:
        """May refuse what came out for a tensor."""
        ...


def plan_shards(tensors: Iterable[TensorShape], max_bytes: int) -> list[Shard]:
    """Tensors in their order, as many to a file as go into it; one larger than that has a file of its own."""
    groups: list[list[TensorShape]] = [[]]
    size = 0
    for tensor in tensors:
        if groups[-1] and size + tensor.nbytes > max_bytes:
            groups.append([])
            size = 0
        groups[-1].append(tensor)
        size += tensor.nbytes
    total = len(groups)
    names = (
        ["model.safetensors"]
        if total == 1
        else [f"model-{number:05}-of-{total:05}.safetensors" for number in range(1, total + 1)]
    )
    return [
        Shard(number, name, tuple(in_file_order(group)))
        for number, (name, group) in enumerate(zip(names, groups, strict=True), start=1)
    ]


def write_shards(
    target: Path, folder: Path, shards: Sequence[Shard], maker: Maker, inputs: Sequence[object], options: WriteOptions
) -> list[ShardRecord]:
    """Fill `folder`, the place where `target` is built. `inputs` tells one job from another.

    Raises:
        SetupError: there is no room, or the maker refuses.
    """
    key = hashlib.sha256(json.dumps([_described(shards), inputs], sort_keys=True).encode()).hexdigest()
    journal = _resume(folder, key, shards, options)
    finished = {record.file for record in journal.shards}
    missing = [shard for shard in shards if shard.file not in finished]
    _check_room(target, folder, sum(tensor.nbytes for shard in missing for tensor in shard.tensors))
    for shard in missing:
        record = ShardRecord(file=shard.file, tensors=_write(folder / shard.file, shard, maker, options))
        maker.finish(record, folder)
        journal.shards.append(record)
        _save(folder, journal)
    records = sorted(journal.shards, key=lambda record: record.file)
    if len(shards) > 1:
        _write_index(folder, shards)
    (folder / _JOURNAL).unlink(missing_ok=True)
    return records


def write_model(
    target: Path,
    tensors: Mapping[str, TensorShape],
    maker: Maker,
    made_by: str,
    inputs: Sequence[object],
    options: WriteOptions,
    accompany: Callable[[Path], object],
) -> Manifest:
    """A whole model at `target`: weights, what `accompany` puts beside them, and the manifest.

    Raises:
        SetupError: there is no room, or the maker refuses.
    """
    shards = plan_shards(tensors.values(), options.max_shard_bytes)
    with built_whole(target, overwrite=options.overwrite, keeps_partial=True) as folder:
        records = write_shards(target, folder, shards, maker, [made_by, *inputs], options)
        accompany(folder)
        sums = tensor_digests(records)
        result = Manifest(made_by=made_by, digest=manifest.whole_digest(tensors, sums), tensors=sums)
        manifest.write(folder, result)
    return result


def tensor_digests(records: Iterable[ShardRecord]) -> dict[str, str]:
    return {name: value for record in records for name, value in record.tensors.items()}


def prepare(target: Path, inputs: Mapping[str, Path], *, overwrite: bool) -> None:
    """What can be said before anything is read.

    Raises:
        SetupError: the target is one of the inputs, or something else that must not be replaced.
    """
    for flag, path in inputs.items():
        if path.resolve() == target.resolve():
            raise SetupError(f"{flag} and the target are the same folder, '{target}'. Give the target one of its own.")
    check_free(target, overwrite=overwrite)


def _write(file: Path, shard: Shard, maker: Maker, options: WriteOptions) -> dict[str, str]:
    sums = {}
    with file.open("wb") as stream:
        stream.write(header_bytes(shard.tensors, _METADATA))
        for tensor in shard.tensors:
            digest = hashlib.sha256()
            for start, stop in row_steps(tensor, options.segments):
                data = raw_bytes(maker.rows(tensor, start, stop))
                stream.write(data)
                digest.update(data)
                options.on_bytes(len(data))
            sums[tensor.name] = digest.hexdigest()
            maker.check(tensor, sums[tensor.name])
    return sums


def _resume(folder: Path, key: str, shards: Sequence[Shard], options: WriteOptions) -> Journal:
    try:
        journal = Journal.model_validate_json((folder / _JOURNAL).read_bytes())
    except (OSError, ValidationError):
        journal = Journal(inputs="")
    if journal.inputs != key:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return Journal(inputs=key)
    return Journal(inputs=key, shards=[record for record in journal.shards if _is_intact(folder, record, options)])


def _is_intact(folder: Path, record: ShardRecord, options: WriteOptions) -> bool:
    try:
        sums = tensor_sums(Checkpoint.open(folder / record.file), options.on_bytes)
        return sums == record.tensors and all(file_sum(folder / f) == s for f, s in record.side_files.items())
    except (SetupError, OSError):
        return False


def _save(folder: Path, journal: Journal) -> None:
    fresh = folder / f"{_JOURNAL}.new"
    fresh.write_text(journal.model_dump_json())
    fresh.replace(folder / _JOURNAL)


def _write_index(folder: Path, shards: Sequence[Shard]) -> None:
    places = {tensor.name: shard.file for shard in shards for tensor in shard.tensors}
    total = sum(tensor.nbytes for shard in shards for tensor in shard.tensors)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def _check_room(target: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupError(
            f"'{target}' needs {needed / 1e9:.1f} GB more, and {free / 1e9:.1f} GB are free. "
            "Make room or give another path, and run this again; what is finished is kept."
        )


def _described(shards: Sequence[Shard]) -> list[object]:
    return [[shard.file, [[t.name, t.dtype, list(t.shape)] for t in shard.tensors]] for shard in shards]
