"""What goes along with weights into a new folder: configuration, tokenizer, templates, processors, code."""

import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.model import manifest

_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf", ".ot", ".npz", ".part"}
_NOT_ABOUT_THE_MODEL = {
    manifest.NAME, "fastchat_progress.json", "adapter_config.json", "trainer_state.json", "training_args.json",
}  # fmt: skip
_FOLDERS = ("additional_chat_templates",)


def carry(source: Path, folder: Path, names: Collection[str] | None = None) -> None:
    """Copy everything at the top of `source` that belongs to the model and is no weights, or of that only `names`."""
    for file in sorted(source.iterdir()):
        if names is not None and file.name not in names:
            continue
        if file.name.startswith(".") or file.name in _NOT_ABOUT_THE_MODEL or file.name.endswith(".index.json"):
            continue
        if file.is_file() and file.suffix not in _WEIGHTS:
            shutil.copyfile(file, folder / file.name)
    for name in _FOLDERS if names is None else ():
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, dirs_exist_ok=True)


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json`, empty where there is none.

    Raises:
        SetupError: it is not JSON.
    """
    file = folder / "config.json"
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text())
    except ValueError:
        raise SetupError(f"'{file}' is not JSON. Fetch it again.") from None
    if not isinstance(values, dict):
        raise SetupError(f"'{file}' is no JSON object. Fetch it again.")
    return values


def edit_json(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the object in a file in place; a file that is not there stays away."""
    if file.is_file():
        values = json.loads(file.read_text())
        change(values)
        file.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def set_dtype(config: dict[str, Any], dtype: str) -> None:
    """Under the key the configuration has already: `dtype` since transformers 5, before that `torch_dtype`."""
    keys = [key for key in ("dtype", "torch_dtype") if key in config]
    for key in keys or ["torch_dtype"]:
        config[key] = dtype
