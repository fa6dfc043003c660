"""The folder a run writes to: one run at a time, nobody else's model, and what an earlier run left there."""

import errno
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fastchat.core.errors import SetupError
from fastchat.train import lineage
from fastchat.train.checkpoints import last_complete
from fastchat.train.lineage import Lineage
from fastchat.train.machine import is_first_process
from fastchat.train.seed_flags import read_flags

_LOCK = ".lock"
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # of buckets that are mounted, and old network disks
_WEIGHTS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "pytorch_model*.bin",
    "*.gguf",
    "adapter_config.json",
)
# What a checkpoint cannot be read into if it differs.
_FIXED = frozenset(
    (
        *("method", "base_config", "lora.rank", "lora.targets", "lora.dora", "lora.bias"),
        *("lora_r", "lora_bias", "lora_target_modules"),
    )
)
_KEPT = ("learning_rate", "weight_decay")  # by optimizers that are read from a checkpoint
# What may differ between a run and the one that goes on with it, and changes nothing that is learned.
_HARMLESS = frozenset(
    (
        *("output", "report_to", "log_every", "save_every", "keep"),
        *("output_dir", "logging_steps", "save_steps", "save_total_limit", "disable_tqdm"),
    )
)


@contextmanager
def claimed(output: Path, base: Path) -> Iterator[None]:
    """While it is open, no other run writes there. The first process of a run has the lock, and the system gives it
    back when that process ends, however it ends: workers that outlive a killed torchrun keep it until then.

    Raises:
        SetupError: another run does, or the folder is that of the `base`.
    """
    if output.resolve() == base.resolve():
        raise SetupError(f"{output} is the folder of the model that is tuned. Give another folder for the output.")
    lock = FileLock(output / _LOCK, timeout=0)
    if is_first_process():
        output.mkdir(parents=True, exist_ok=True)
        _acquire(lock, output)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, output: Path) -> None:
    try:
        lock.acquire()
    except Timeout:
        raise SetupError(
            f"Another run writes into {output}; workers of a torchrun that was killed may live on. Wait for its end, "
            "or end it, or give another folder for the output."
        ) from None
    except NotImplementedError:
        return
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise


def go_on(output: Path, origin: Lineage, say: Callable[[str], None], kind: str = "checkpoint") -> Path | None:
    """The checkpoint to go on from, if an earlier run left one. What has changed since then is said.

    Raises:
        SetupError: what stands there is of a run that this one cannot go on with, or is nobody's that we know.
    """
    begin_with = last_complete(output, kind)
    before = (lineage.read(begin_with) if begin_with else None) or lineage.read(output)
    if before is not None:
        _tell_changes(begin_with or output, _changes(before, origin), is_resumed=begin_with is not None, say=say)
    elif begin_with is None and (found := _weights(output)):
        raise SetupError(
            f"{output} holds a model already ({found}), and nothing tells that we have tuned it. Give another folder."
        )
    if begin_with is not None:
        say(f"going on from {begin_with}")
    elif before is not None and before.get("steps"):
        say(f"{output} holds the model of an earlier run and no checkpoint to go on from: it is tuned anew")
    if is_first_process() and lineage.read(output) is None:
        origin.write(output, steps=0)  # from now on it is known whose folder this is
    return begin_with


def _tell_changes(place: Path, changes: Sequence[str], *, is_resumed: bool, say: Callable[[str], None]) -> None:
    for change in changes:
        if change.split(maxsplit=1)[0] in _FIXED:
            raise SetupError(
                f"{place} is of another run, with which this one cannot go on: {change}. Give another folder for the "
                "output."
            )
    if changes:
        say(f"changed since {place} was written: {'; '.join(changes)}")
    if is_resumed and any(change.split(maxsplit=1)[0] in _KEPT for change in changes):
        say("the optimizer goes on with the learning rate and the weight decay that it had")


def _changes(before: Mapping[str, Any], origin: Lineage) -> list[str]:
    now = json.loads(json.dumps(asdict(origin), default=str))
    changes = []
    for key in ("method", "base_config"):
        if before.get(key) != now[key]:
            changes.append(f"{key} {_shown(before.get(key))} → {_shown(now[key])}")
    if before.get("prompt_format_digest") != now["prompt_format_digest"]:
        changes.append(f"prompt format {before.get('prompt_format')} → {now['prompt_format']}")
    if _digests(before) != _digests(now):
        changes.append("other data")
    old, new = _settings(before.get("told")), _settings(now["told"])
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key) and key not in _HARMLESS:
            changes.append(f"{key} {_shown(old.get(key))} → {_shown(new.get(key))}")
    return changes


def _digests(values: Mapping[str, Any]) -> Sequence[Any]:
    return [file.get("sha256") for file in values.get("data") or ()]


def _settings(told: Any) -> Mapping[str, Any]:
    """Flags by their names, or keys of a recipe with those of its sections."""
    if not isinstance(told, Mapping):
        return {}
    if isinstance(flags := told.get("flags"), list):
        return {name: " ".join(values) for name, values in read_flags(flags).items()}
    settings: dict[str, Any] = {}
    for key, value in told.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        settings |= {f"{key}.{name}" if name else key: one for name, one in inner}
    return settings


def _shown(value: Any) -> str:
    return "(not given)" if value is None else str(value)[:80]


def _weights(output: Path) -> str | None:
    return next((file.name for pattern in _WEIGHTS for file in output.glob(pattern)), None)
