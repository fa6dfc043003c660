"""Tokens of a whole training set on disk, mapped into memory: about 2.1 bytes a token, shared by all processes.

FOLDER/header.json   what it was made from, and how much there is
FOLDER/ids.bin       token ids one after another, uint16 where the vocabulary fits, else uint32
FOLDER/trained.bin   a bit a token; each sample begins with a byte
FOLDER/lengths.bin   int64 a sample
FOLDER/weights.bin   float32 a sample
"""

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from fastchat.data.records import Conversation
from fastchat.model.folders import built_whole
from fastchat.train.checks import check_counts
from fastchat.train.encoding import Counts, Encoder, Sample

_LAYOUT = 1  # of the files; stores of another are built again
_SMALL_VOCABULARY = 1 << 16


class TokenStore:
    """A sequence of samples (`len`, `[i]`), fit as a torch dataset; processes that get it open its files again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.header: Mapping[str, Any] = json.loads((folder / "header.json").read_text())
        self.counts = Counts(**self.header["counts"])  # of the run that built it
        self.lengths: NDArray[np.int64] = np.fromfile(folder / "lengths.bin", np.int64)
        self._weights: NDArray[np.float32] = np.fromfile(folder / "weights.bin", np.float32)
        self._ids = np.memmap(folder / "ids.bin", self.header["ids"], mode="r")
        self._bits = np.memmap(folder / "trained.bin", np.uint8, mode="r")
        self._first_ids = _starts(self.lengths)
        self._first_bytes = _starts(_bytes_for(self.lengths))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Sample:
        length = int(self.lengths[index])
        first, byte = self._first_ids[index], self._first_bytes[index]
        bits = np.unpackbits(self._bits[byte : byte + _bytes_for(length)], count=length)
        return Sample(self._ids[first : first + length], bits.view(np.bool_), float(self._weights[index]))

    def __reduce__(self) -> tuple[type["TokenStore"], tuple[Path]]:
        return TokenStore, (self.folder,)

    @property
    def is_weighted(self) -> bool:
        """Whether any sample has another weight than 1."""
        return bool((self._weights != 1).any())

    @property
    def nbytes(self) -> int:
        return sum(file.stat().st_size for file in self.folder.glob("*.bin"))


def open_store(
    cache: Path, encoder: Encoder, data_digest: str, read: Callable[[], Iterable[Conversation]]
) -> TokenStore:
    """The store of these conversations in the folder `cache`; built if there is none of this data, tokenizer, template
    and settings.

    Processes that ask together wait for the one that builds. `read` is called only then.

    Raises:
        SetupError: see `checks.check_counts`; or the disk is full.
    """
    made_from = {"layout": _LAYOUT, "data": data_digest, "encoder": encoder.digest}
    name = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:20]
    folder = cache / name
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{name}.building"):
            if not folder.exists():
                _build(folder, encoder, made_from, read())
    store = TokenStore(folder)
    check_counts(store.counts)
    return store


def digest_of_files(files: Iterable[Path]) -> str:
    """Of what is in these files, in this order."""
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


def _build(folder: Path, encoder: Encoder, made_from: Mapping[str, Any], conversations: Iterable[Conversation]) -> None:
    kind = np.dtype(np.uint16 if encoder.vocabulary_size <= _SMALL_VOCABULARY else np.uint32)
    lengths, weights = array("q"), array("f")
    with built_whole(folder) as draft:
        with (draft / "ids.bin").open("wb") as ids, (draft / "trained.bin").open("wb") as bits:
            for sample in encoder.encode(conversations):
                ids.write(sample.ids.astype(kind).tobytes())
                bits.write(np.packbits(sample.trained).tobytes())
                lengths.append(len(sample.ids))
                weights.append(sample.weight)
        if not lengths:
            check_counts(encoder.counts)
        (draft / "lengths.bin").write_bytes(lengths.tobytes())
        (draft / "weights.bin").write_bytes(weights.tobytes())
        header = {**made_from, "ids": kind.name, "counts": asdict(encoder.counts)}
        (draft / "header.json").write_text(json.dumps(header, indent=2, ensure_ascii=False) + "\n")


def _bytes_for(bits: Any) -> Any:  # a number or an array of them
    return (bits + 7) // 8


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
