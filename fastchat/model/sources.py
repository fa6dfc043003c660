"""What users write for a model → the file or folder it means."""

from pathlib import Path, PurePosixPath

from fastchat.core.errors import SetupError
from fastchat.model import builtin


def default_name(model_path: str) -> str:
    """The name a model goes by unless it was given others: the last part of its path."""
    if model_path in builtin.ALIASES:
        return builtin.NAME
    return PurePosixPath(model_path.rstrip("/")).name or model_path


def resolve(model_path: str) -> str:
    """The path of the weights. The built-in model is fetched if need be; names of engines' own are left alone.

    Raises:
        SetupError: there is nothing at this path.
    """
    if model_path in builtin.ALIASES:
        return str(builtin.ensure())
    if model_path.partition(":")[0] == "scripted":
        return model_path
    path = Path(model_path).expanduser()
    if path.is_dir():
        return str(_weights_in(path))
    if not path.exists():
        raise SetupError(
            f"There is no model at {model_path!r}. Give the path of a .gguf file or of a folder that holds one, "
            f"or {builtin.ALIASES[0]!r} for the built-in model."
        )
    return str(path)


def _weights_in(folder: Path) -> Path:
    files = sorted(folder.glob("*.gguf"))
    parts = [file for file in files if "-of-" in file.stem]
    if parts:
        return parts[0]  # llama.cpp finds the other parts itself
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:10])
        raise SetupError(f"The folder {folder} holds several models ({names}); name the file.")
    return files[0] if files else folder
