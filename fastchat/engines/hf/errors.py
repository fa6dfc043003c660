"""What transformers, safetensors and PyTorch complain about while a model is loaded → SetupError."""

import json
import pickle
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastchat.core.errors import SetupError

_SHOWN = 5  # names of tensors in a message


@contextmanager
def loading_errors(path: Path) -> Iterator[None]:
    """
    Raises:
        SetupError: in place of whatever the libraries raise for files, settings and installations that do not fit.
    """
    from safetensors import SafetensorError

    try:
        yield
    except ImportError as error:
        raise SetupError(f"{str(path)!r} needs a package that is not installed. {_first_lines(error)}") from None
    except pickle.UnpicklingError:
        raise SetupError(
            f"A .bin file in {str(path)!r} holds more than weights and would run a program when it is read. "
            "If you trust its author, load it with what wrote it, and save it with save_pretrained."
        ) from None
    except (SafetensorError, EOFError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"A file in {str(path)!r} is damaged: {_first_lines(error)}. Fetch the model again.") from None
    except MemoryError:
        raise SetupError(_no_memory(path)) from None
    except RuntimeError as error:
        if "out of memory" in str(error).lower() or "allocate memory" in str(error):
            raise SetupError(_no_memory(path)) from None
        raise SetupError(f"transformers cannot load {str(path)!r}: {_first_lines(error)}") from error
    except (ValueError, KeyError, OSError, AttributeError, NotImplementedError, TypeError) as error:
        raise _refused(path, error) from error


def check_completeness(path: Path, found: dict[str, Collection[Any]]) -> None:
    """`found` is transformers' report on loading.

    Raises:
        SetupError: part of the model would be random numbers.
    """
    missing = sorted(found["missing_keys"])
    if missing:
        raise SetupError(
            f"The weights in {str(path)!r} are not complete: {len(missing)} tensors are missing ({_some(missing)}). "
            "Fetch the model again, or see whether config.json belongs to these weights."
        )
    mismatched = [f"{name}: {tuple(has)} instead of {tuple(wants)}" for name, has, wants in found["mismatched_keys"]]
    if mismatched:
        raise SetupError(_other_shapes(path, _some(sorted(mismatched))))


def remote_code_error(path: Path, auto_map: dict[str, Any]) -> SetupError:
    files = sorted({f"{str(name).partition('.')[0]}.py" for name in auto_map.values() if isinstance(name, str)})
    return SetupError(
        f"{str(path)!r} brings Python of its own ({', '.join(files) or 'see its config.json'}) and cannot be loaded "
        "without. Read it, and if you trust its author add --trust-remote-code."
    )


def _refused(path: Path, error: Exception) -> SetupError:
    text = str(error)
    if shapes := re.match(r"size mismatch for (.+)", text):
        return SetupError(_other_shapes(path, _some(shapes[1].split("; "))))
    if "does not recognize this architecture" in text or "Unrecognized configuration class" in text:
        return SetupError(
            f"transformers does not know the architecture of {str(path)!r}: {_first_lines(error)} "
            "Update it (pip install -U transformers), or choose another engine."
        )
    if "offload" in text or "max_memory" in text:
        return SetupError(
            f"{str(path)!r} does not fit: {_first_lines(error)} Give more GPUs (--num-gpus), more of their memory "
            "(--max-gpu-memory), --cpu-offloading, or --load-8bit."
        )
    return SetupError(f"transformers cannot load {str(path)!r}: {_first_lines(error)}")


def _no_memory(path: Path) -> str:
    return f"There is not enough memory for {str(path)!r}. Try --load-8bit or --load-4bit, or a smaller model."


def _other_shapes(path: Path, found: str) -> str:
    return f"The weights in {str(path)!r} have other shapes than its config.json says ({found})."


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:500] or type(error).__name__


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
