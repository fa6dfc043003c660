"""`transformers` as an engine: every architecture it knows, on every device it knows.

Nothing heavy is imported before a model is loaded.
"""

import asyncio
from typing import TYPE_CHECKING

from fastchat.engines.hf.settings import check
from fastchat.engines.registry import EngineOptions

if TYPE_CHECKING:
    from fastchat.engines.hf.engine import HfEngine

SUPPORTS = frozenset(
    {
        "device",
        "num_gpus",
        "max_gpu_memory",
        "dtype",
        "quantization",
        "cpu_offloading",
        "trust_remote_code",
        "draft_model",
        "chat_template",
        "adapters",
    }
)

__all__ = ["SUPPORTS", "check", "load"]


async def load(options: EngineOptions) -> "HfEngine":
    """
    Raises:
        SetupError: a package is missing, or the files, the options and the hardware do not go together.
    """
    return await asyncio.to_thread(_load, options)


def _load(options: EngineOptions) -> "HfEngine":
    from fastchat.engines.hf.loading import import_libraries

    import_libraries()
    from fastchat.engines.hf.engine import HfEngine

    return HfEngine.load(options)
