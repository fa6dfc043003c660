"""A Hugging Face folder → GGUF, by llama.cpp's own converter: it knows each architecture, and is not on PyPI."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from fastchat.core.errors import SetupError
from fastchat.model.folders import check_free, disk_errors

SCRIPT = "convert_hf_to_gguf.py"
LLAMA_CPP_ENV = "FASTCHAT_LLAMA_CPP"

GgufType: TypeAlias = Literal["f32", "f16", "bf16", "q8_0", "auto"]
TYPES: tuple[str, ...] = get_args(GgufType)


def safetensors_to_gguf(source: Path, target: Path, kind: GgufType, converter: Path | None) -> None:
    """Write the file `target`; it appears when it is whole.

    Raises:
        SetupError: there is no converter, it fails, or `source` is an adapter.
    """
    check_free(target)
    if (source / "adapter_config.json").is_file() and not (source / "config.json").is_file():
        raise SetupError(
            f"'{source}' is an adapter, and a GGUF file holds a whole model. Merge it into its base first: "
            f"fastchat weights apply-lora --base-model-path BASE --lora-path {source} --target-model-path MERGED"
        )
    script = _script(converter)
    unfinished = target.with_name(f".{target.name}.partial")
    command = [sys.executable, str(script), str(source), "--outfile", str(unfinished), "--outtype", kind]
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not unfinished.is_file():
            unfinished.unlink(missing_ok=True)
            said = done.stderr.strip().splitlines()[-3:] or ["it gave no reason"]
            raise SetupError(f"llama.cpp's converter could not convert '{source}': {' '.join(said)}")
        unfinished.rename(target)


def _script(given: Path | None) -> Path:
    """What was given, a folder of llama.cpp in the environment, or one on the PATH."""
    named = given or (Path(folder) if (folder := os.environ.get(LLAMA_CPP_ENV)) else None)
    if named is not None and (named / SCRIPT).is_file():
        return named / SCRIPT
    if named is not None and named.is_file():
        return named
    found = None if named else shutil.which(SCRIPT)
    if found:
        return Path(found)
    raise SetupError(
        f"There is no {SCRIPT}{f' at {str(named)!r}' if named else ''}. It is part of llama.cpp's sources "
        "(https://github.com/ggml-org/llama.cpp) and needs their gguf-py beside it. Fetch them and give the folder as "
        f"--converter, or set {LLAMA_CPP_ENV} to it."
    )
