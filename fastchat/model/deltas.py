"""Models given as the difference to a base model, as Vicuna's first versions had to be.

A delta is a checkpoint of its own whose tensors are target - base, in the target's number format. FastChat's format is
no more than that, and a model made with FastChat is restored by the same addition. Ours has in addition what makes
the result exact (`exact.py`) and the digests of the result (`manifest.py`); a program that knows neither still gets
the model to within rounding.

Rows that only the target has, such as tokens added to the vocabulary, count as zero in the base.
"""

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.model import manifest
from fastchat.model.carried import carry, read_config
from fastchat.model.exact import ExactReader, ExactWriter
from fastchat.model.folders import built_whole
from fastchat.model.manifest import DeltaFacts, Manifest, raw_bytes
from fastchat.model.safetensors_file import TensorShape
from fastchat.model.shards import Checkpoint, Tensor, torch_dtype
from fastchat.model.writing import (
    ShardRecord,
    WriteOptions,
    plan_shards,
    prepare,
    tensor_digests,
    write_model,
    write_shards,
)

log = logging.getLogger(__name__)

_RECOMPUTED = re.compile(r"rotary_emb\.inv_freq$")  # old LLaMA checkpoints hold it, newer ones do not
_VOCABULARY = re.compile(r"(embed|wte|shared|lm_head|embed_out|output)[a-z_]*\.(weight|bias)$")


def apply_delta(base: Path, delta: Path, target: Path, options: WriteOptions) -> Manifest:
    """Write base + delta to `target`. What else belongs to the model is taken from the delta.

    Raises:
        SetupError: they do not fit together, the result is not what the delta was made of, or there is no room.
    """
    prepare(target, {"--base-model-path": base, "--delta-path": delta}, overwrite=options.overwrite)
    facts = _delta_facts(delta)
    maker = _Applying.between(Checkpoint.open(base), Checkpoint.open(delta), facts, delta)
    inputs = [maker.base.stamp(), maker.delta.stamp()]
    return write_model(target, maker.tensors, maker, "apply-delta", inputs, options, partial(carry, delta))


def make_delta(base: Path, target: Path, delta: Path, options: WriteOptions) -> Manifest:
    """Write the folder `delta`, from which `apply_delta` makes `target` again to the bit.

    Raises:
        SetupError: the two models do not have the same layout, or there is no room.
    """
    prepare(delta, {"--base-model-path": base, "--target-model-path": target}, overwrite=options.overwrite)
    base_model, target_model = Checkpoint.open(base), Checkpoint.open(target)
    tensors = _fitting(base_model, target_model, target, is_exact=True)
    shards = plan_shards(tensors.values(), options.max_shard_bytes)
    inputs = ["make-delta", base_model.stamp(), target_model.stamp()]
    with built_whole(delta, overwrite=options.overwrite, keeps_partial=True) as folder:
        maker = _Making(base_model, target_model, folder)
        records = write_shards(delta, folder, shards, maker, inputs, options)
        carry(target, folder)
        sums = tensor_digests(records)
        target_sums = {name: value for record in records for name, value in record.notes.items()}
        facts = DeltaFacts(
            target_digest=manifest.whole_digest(tensors, target_sums),
            target_tensors=target_sums,
            exact_files={name: value for record in records for name, value in record.side_files.items()},
        )
        digest = manifest.whole_digest(tensors, sums)
        result = Manifest(made_by="make-delta", digest=digest, tensors=sums, delta=facts)
        manifest.write(folder, result)
    return result


@dataclass(slots=True)
class _Applying:
    base: Checkpoint
    delta: Checkpoint
    tensors: Mapping[str, TensorShape]
    facts: DeltaFacts | None
    exact: ExactReader

    @classmethod
    def between(cls, base: Checkpoint, delta: Checkpoint, facts: DeltaFacts | None, folder: Path) -> "_Applying":
        files = facts.exact_files if facts else {}
        if missing := [name for name in files if not (folder / name).is_file()]:
            raise SetupError(f"'{folder}' is not complete: {missing[0]} is missing. Fetch it again.")
        tensors = _fitting(base, delta, folder, is_exact=facts is not None)
        return cls(base, delta, tensors, facts, ExactReader(folder / name for name in files))

    def rows(self, tensor: TensorShape, start: int, stop: int) -> Tensor:
        change = self.delta.read(tensor.name, start, stop)
        result = _added(_base_rows(self.base, tensor, start, stop), change)
        self.exact.mend(tensor, start, result)
        return result

    def finish(self, record: ShardRecord, folder: Path) -> None:
        pass

    def check(self, tensor: TensorShape, digest: str) -> None:
        if self.facts and self.facts.target_tensors.get(tensor.name) != digest:
            raise SetupError(
                f"{tensor.name} does not come out as it was when the delta was made. The base at '{self.base.path}' is "
                "another one than the delta's, or one of the two is damaged."
            )


@dataclass(slots=True)
class _Making:
    base: Checkpoint
    target: Checkpoint
    folder: Path
    _exact: ExactWriter | None = None
    # name → SHA-256 so far, of the target (the type has no public name)
    _digests: dict[str, Any] = field(default_factory=lambda: defaultdict(hashlib.sha256))

    def rows(self, tensor: TensorShape, start: int, stop: int) -> Tensor:
        wanted = self.target.read(tensor.name, start, stop)
        base = _base_rows(self.base, tensor, start, stop)
        change = _subtracted(wanted, base)
        self._writer().record(tensor, start, wanted, _added(base, change))
        self._digests[tensor.name].update(raw_bytes(wanted))
        return change

    def finish(self, record: ShardRecord, folder: Path) -> None:
        writer = self._writer()
        if writer.close():
            name = "fastchat_exact" + record.file.removeprefix("model")
            writer.file.rename(folder / name)
            record.side_files[name] = manifest.file_sum(folder / name)
        record.notes |= {name: self._digests[name].hexdigest() for name in record.tensors}
        self._exact = None

    def check(self, tensor: TensorShape, digest: str) -> None:
        pass

    def _writer(self) -> ExactWriter:
        if self._exact is None:
            self._digests.clear()
            self._exact = ExactWriter(self.folder / "fastchat_exact.unfinished")
        return self._exact


def _fitting(base: Checkpoint, other: Checkpoint, folder: Path, *, is_exact: bool) -> dict[str, TensorShape]:
    """The tensors of `other`, in its order, all of which have a counterpart in the base.

    What is recomputed is an exception: an exact delta has it whole, one of FastChat's only the difference, so that it
    is left out where the base lacks it.

    Raises:
        SetupError: some have none, or one of another shape.
    """
    is_tied = read_config(folder).get("tie_word_embeddings") is True
    surplus = sorted(base.tensors.keys() - other.tensors.keys())
    if unknown := [name for name in surplus if not _RECOMPUTED.search(name) and not (is_tied and "lm_head" in name)]:
        raise SetupError(_misfit(base, other, f"only the base has {_list(unknown)}"))
    found, lacking = {}, []
    for name, tensor in other.tensors.items():
        if name in base.tensors:
            _check_shape(base, other, tensor)
            found[name] = tensor
        elif not _RECOMPUTED.search(name):
            lacking.append(name)
        elif is_exact:
            found[name] = tensor
    if lacking:
        raise SetupError(_misfit(base, other, f"the base lacks {_list(lacking)}"))
    return found


def _check_shape(base: Checkpoint, other: Checkpoint, tensor: TensorShape) -> None:
    mine = base.tensors[tensor.name].shape
    if mine == tensor.shape:
        return
    if not (_VOCABULARY.search(tensor.name) and mine[1:] == tensor.shape[1:] and mine and tensor.shape):
        sizes = f"{_size(mine)} in the base and {_size(tensor.shape)} here"
        raise SetupError(_misfit(base, other, f"{tensor.name} is {sizes}"))
    log.info("%s has %d rows, %d in the base", tensor.name, tensor.rows, mine[0])


def _base_rows(base: Checkpoint, tensor: TensorShape, start: int, stop: int) -> Tensor:
    """In the tensor's own number format; zero beyond the end of the base's."""
    import torch

    dtype = torch_dtype(tensor.dtype)
    shape = (stop - start, *tensor.shape[1:])
    have = base.tensors[tensor.name].rows if tensor.name in base.tensors else 0
    if start >= have:
        return torch.zeros(shape, dtype=dtype)
    rows = base.read(tensor.name, start, min(stop, have)).to(dtype)
    if len(rows) == shape[0]:
        return rows
    return torch.cat([rows, torch.zeros((shape[0] - len(rows), *shape[1:]), dtype=dtype)])


def _added(base: Tensor, change: Tensor) -> Tensor:
    """base + change as every version of PyTorch rounds it: summed in float32, rounded once to the format."""
    wide = _wide(change)
    return base | change if wide is None else (base.to(wide) + _operand(change)).to(change.dtype)


def _subtracted(wanted: Tensor, base: Tensor) -> Tensor:
    wide = _wide(wanted)
    return wanted & ~base if wide is None else (wanted.to(wide) - _operand(base)).to(wanted.dtype)


def _operand(tensor: Tensor) -> Tensor:
    """PyTorch widens the second operand as it goes, without a copy, but not those of 8 bits."""
    return tensor.float() if tensor.dtype.is_floating_point and tensor.element_size() == 1 else tensor


def _wide(tensor: Tensor) -> Any:
    """What to calculate in; None for truth values."""
    import torch

    if tensor.dtype == torch.bool:
        return None
    if not tensor.dtype.is_floating_point:
        return tensor.dtype  # integers wrap around, so that nothing is lost
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _delta_facts(delta: Path) -> DeltaFacts | None:
    known = manifest.read(delta)
    if known is None:
        return None  # FastChat's format
    if known.delta is None:
        raise SetupError(f"'{delta}' is a whole model, as its {manifest.NAME} says, and no delta. Use it as it is.")
    return known.delta


def _misfit(base: Checkpoint, other: Checkpoint, what: str) -> str:
    return (
        f"'{base.path}' is not the base of '{other.path}': {what}. "
        "Vicuna's deltas belong to LLaMA of the same size, in Hugging Face's format."
    )


def _list(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
