"""llama.cpp as an engine: any GGUF file, on a CPU, a Mac or a GPU, through the package `xllamacpp`."""

from fastchat.engines.llamacpp.engine import LlamaEngine, load
from fastchat.engines.llamacpp.settings import check

SUPPORTS = frozenset({"device", "chat_template", "adapters", "draft_model"})

__all__ = ["SUPPORTS", "LlamaEngine", "check", "load"]
