"""How much memory a model will take and how much there is. Estimates, made to refuse what cannot work."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from fastchat.engines.llamacpp.settings import DEFAULT_SLOTS, DEFAULT_TOTAL_CONTEXT
from fastchat.launcher.config import LocalModel
from fastchat.launcher.folders import sizes_of_folder
from fastchat.model.gguf import Value, number, read_header

GB = 10**9
PROCESS_BYTES = 80_000_000  # a worker process before it holds a model
COMPUTE_BYTES = 250_000_000  # an engine's working buffers and prefix cache
CACHE_ITEM_BYTES = 2  # keys and values are kept as float16
TORCH_BYTES = 400_000_000  # a worker process with PyTorch and transformers, before it holds a model


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes of main memory that one replica takes."""

    weights: int = 0
    cache: int = 0  # keys and values of all slots' contexts
    overhead: int = PROCESS_BYTES
    is_complete: bool = True  # False: the size of the weights is not known here and not counted

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.overhead


def estimate(model: LocalModel, engine: str, path: Path) -> Estimate:
    """What one replica of `model`, whose weights lie at `path`, takes."""
    if engine == "scripted":
        return Estimate()
    overhead = COMPUTE_BYTES + (TORCH_BYTES if engine == "hf" else PROCESS_BYTES)
    if model.gpus or model.device not in (None, "cpu"):
        # Weights and cache lie on the GPUs, whose shares are counted instead.
        return Estimate(overhead=overhead)
    files = _weight_files(path)
    if engine == "hf" and path.is_dir():
        return Estimate(*sizes_of_folder(path, files, model), overhead, is_complete=bool(files))
    weights = sum(file.stat().st_size for file in files)
    cache = _cache_bytes(files[0], model) if files and files[0].suffix == ".gguf" else 0
    # transformers unpacks a quantised file, to a size that its header does not tell.
    return Estimate(weights, cache, overhead, is_complete=bool(files) and engine != "hf")


def _weight_files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin")) or sorted(path.glob("*.gguf"))
    if not path.is_file():
        return []
    split = re.fullmatch(r"(.+)-\d{5}-of-(\d{5})\.gguf", path.name)
    return sorted(path.parent.glob(f"{split[1]}-*-of-{split[2]}.gguf")) if split else [path]


def _cache_bytes(file: Path, model: LocalModel) -> int:
    header = read_header(file)
    slots = model.slots or DEFAULT_SLOTS
    by_default = min(number(header, "context_length"), DEFAULT_TOTAL_CONTEXT // slots)
    context_length = model.context_length or by_default
    return context_length * slots * _cache_bytes_per_token(header)


def _cache_bytes_per_token(header: dict[str, Value]) -> int:
    layers, heads = number(header, "block_count"), number(header, "attention.head_count", 1)
    head_size = number(header, "embedding_length") // heads
    key, value = (number(header, f"attention.{part}_length", head_size) for part in ("key", "value"))
    return layers * number(header, "attention.head_count_kv", heads) * (key + value) * CACHE_ITEM_BYTES


def available_bytes() -> int:
    """What can be taken without swapping: of the machine, or of the container we run in if that has less."""
    free = psutil.virtual_memory().available
    try:
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no control group, or one whose limit is "max"
        return free
    return min(free, limit - used + _reclaimable_bytes())


def _reclaimable_bytes() -> int:
    """File pages the kernel gives up when a container needs the memory; they count as used until then."""
    lines = Path("/sys/fs/cgroup/memory.stat").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


def gpu_count() -> int | None:
    """NVIDIA's GPUs on this machine; None where that cannot be told."""
    folder = Path("/proc/driver/nvidia/gpus")
    return len(list(folder.iterdir())) if folder.is_dir() else None


def resident_bytes(pid: int) -> int:
    """What a process and its children hold in memory, pages shared with others included; 0 if there is none."""
    return sum(info.rss for info in _memory_of_family(pid))


def private_bytes(pid: int) -> int:
    """Memory that is free again when the process ends. Weights mapped from a file count as free all the time."""
    return sum(int(info.rss - getattr(info, "shared", 0)) for info in _memory_of_family(pid))


def _memory_of_family(pid: int) -> Iterator[Any]:
    """Of the process and what it started: a launched server is a child, and has children."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return
    for member in family:
        with suppress(psutil.Error):  # it has ended meanwhile
            yield member.memory_info()
