"""OpenVINO GenAI as an engine: many answers at once on an x86 CPU, from a GGUF file or a folder of OpenVINO IR."""

from fastchat.engines.openvino.engine import OpenvinoEngine, load
from fastchat.engines.openvino.settings import check

# No adapters: with a GGUF file the library prints that it does not use them, and goes on without.
SUPPORTS = frozenset({"device", "chat_template"})

__all__ = ["SUPPORTS", "OpenvinoEngine", "check", "load"]
