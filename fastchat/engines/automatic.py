"""What `--engine auto` takes, by what the model is, what is installed and what the machine has; and why.

A GGUF file goes to llama.cpp even where OpenVINO would be faster, which it is for many answers at once on an x86 CPU
(`benchmarks/engines.py`): it has no embeddings, no logprobs and no adapters, and rounds some formats of weights on
loading so that answers get worse. A choice nobody made should not take such things away; the reason says that there is
another one. Engines that are servers of other projects are only mentioned, since starting one is no small thing.
"""

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.engines.registry import engine_names

_PACKAGES = ("xllamacpp", "openvino_genai", "transformers")


@dataclass(frozen=True, slots=True)
class Surroundings:
    installed: frozenset[str] = frozenset()  # of the packages above, and the program vllm
    is_x86: bool = False
    has_cuda: bool = False

    @classmethod
    def look(cls) -> "Surroundings":
        programs = {"vllm"} if shutil.which("vllm") else set()
        return cls(
            installed=frozenset(name for name in _PACKAGES if find_spec(name)) | programs,
            is_x86=platform.machine().lower() in ("x86_64", "amd64"),
            has_cuda=Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None,
        )


@dataclass(frozen=True, slots=True)
class EngineChoice:
    engine: str
    reason: str


def choose_engine(model_path: str, look: Callable[[], Surroundings] = Surroundings.look) -> EngineChoice:
    """
    Raises:
        SetupError: no engine reads what is at this path.
    """
    path = Path(model_path)
    if model_path.split(":")[0] == "scripted":
        return EngineChoice("scripted", "the path says so")
    if model_path.endswith(".gguf"):
        return _for_gguf(look())
    if (path / "openvino_model.xml").is_file():
        return EngineChoice("openvino", "the folder holds OpenVINO IR")
    if (path / "config.json").is_file():
        return _for_folder(look())
    if (path / "adapter_config.json").is_file():
        return EngineChoice("hf", "the folder holds an adapter, which is put onto its base")
    raise SetupError(
        f"No engine here reads {model_path!r}. Give a .gguf file, a folder with config.json and weights, 'builtin' for "
        f"the built-in model, or --engine with one of: {', '.join(engine_names())}."
    )


def _for_gguf(around: Surroundings) -> EngineChoice:
    can_use_openvino = around.is_x86 and "openvino_genai" in around.installed
    if can_use_openvino and "xllamacpp" not in around.installed:
        return EngineChoice("openvino", "a GGUF file on an x86 CPU, and llama.cpp (xllamacpp) is not installed")
    reason = "a GGUF file, which llama.cpp reads in every format and with all its features"
    if can_use_openvino and not around.has_cuda:
        reason += "; --engine openvino is faster for many answers at once, but has fewer features"
    return EngineChoice("llamacpp", reason)


def _for_folder(around: Surroundings) -> EngineChoice:
    reason = "a folder of transformers weights"
    if around.has_cuda:
        how = "is installed and" if "vllm" in around.installed else "(not installed)"
        reason += f"; on this GPU vLLM {how} serves many at once faster: fastchat.serve.vllm_worker"
    return EngineChoice("hf", reason)
