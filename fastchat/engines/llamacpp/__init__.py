"""llama.cpp as an engine: any GGUF file, on a CPU, a Mac or a GPU, through the package `xllamacpp`."""

from fastchat.engines.llamacpp.engine import LlamaEngine, load

__all__ = ["LlamaEngine", "load"]
