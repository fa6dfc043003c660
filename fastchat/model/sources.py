"""What users write for a model → the file or folder it means."""

from pathlib import Path, PurePosixPath

from fastchat.core.errors import SetupError
from fastchat.model import builtin
from fastchat.model.pull import Hub, HubName


def default_name(model_path: str) -> str:
    """The name a model goes by unless it was given others: the last part of its path."""
    if model_path in builtin.ALIASES:
        return builtin.NAME
    if name := _on_the_hub(model_path):
        return PurePosixPath(name.repo).name
    return PurePosixPath(model_path.rstrip("/")).name or model_path


def resolve(model_path: str, revision: str = "main") -> str:
    """The path of the weights. What is not on this machine is fetched: the built-in model, and models of the hub.

    What the hub's cache has is taken as it is; `fastchat pull` asks for something newer. Names of engines' own are
    left alone.

    Raises:
        SetupError: there is nothing at this path, or it cannot be fetched.
    """
    if model_path in builtin.ALIASES:
        return str(builtin.ensure())
    found = locate(model_path, revision)
    name = _on_the_hub(model_path)
    if found is None and name:
        found = Hub().pull(name, revision).path
    return model_path if found is None else str(found)


def locate(model_path: str, revision: str = "main") -> Path | None:
    """Where the weights are on this machine; None if they have to be fetched first, or are an engine's own matter.

    Raises:
        SetupError: there is nothing at this path.
    """
    if model_path in builtin.ALIASES:
        return builtin.path() if builtin.path().exists() else None
    if model_path.partition(":")[0] == "scripted":
        return None
    path = Path(model_path).expanduser()
    if path.is_dir():
        return _weights_in(path)
    if path.exists():
        return path
    if name := _on_the_hub(model_path):
        return Hub().locate(name, revision)
    raise SetupError(
        f"There is no model at {model_path!r}. Give the path of a .gguf file or of a folder with weights, a name on "
        f"the hub such as org/model, or {builtin.ALIASES[0]!r} for the built-in model."
    )


def is_fetched_later(model_path: str, revision: str = "main") -> bool:
    """Whether the hub has to be asked before anything can be said of the model.

    Raises:
        SetupError: there is nothing at this path.
    """
    return _on_the_hub(model_path) is not None and locate(model_path, revision) is None


def _on_the_hub(model_path: str) -> HubName | None:
    """A path that exists is never a name on the hub, nor is one into a folder that exists."""
    path = Path(model_path).expanduser()
    if model_path in builtin.ALIASES or path.exists() or (path.parent.is_dir() and path.parent != Path()):
        return None
    return HubName.parse(model_path)


def _weights_in(folder: Path) -> Path:
    if (folder / "config.json").is_file() and any(file.suffix in (".safetensors", ".bin") for file in folder.iterdir()):
        return folder
    files = sorted(folder.glob("*.gguf"))
    parts = [file for file in files if "-of-" in file.stem]
    if parts:
        return parts[0]  # llama.cpp finds the other parts itself
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:10])
        raise SetupError(f"The folder {folder} holds several models ({names}); name the file.")
    return files[0] if files else folder
