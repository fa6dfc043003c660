"""Where and with what a benchmark ran, as far as it matters for the numbers: no names of hosts, no paths."""

import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from benchmarks.peers.environments import ENVIRONMENTS
from benchmarks.results import Machine

OURS = (
    *("fschat", "uvicorn", "uvloop", "httptools", "aiohttp", "starlette", "pydantic", "gradio"),
    *("xllamacpp", "openvino-genai", "torch", "transformers"),
    *("numpy", "scipy", "polars", "evalica", "choix"),
    *("tokenizers", "html-to-markdown", "rensa", "peft", "liger-kernel"),
)


def this_machine() -> Machine:
    return Machine(
        cpu=_cpu(),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        load_average=round(os.getloadavg()[0], 2),
    )


def _cpu() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def versions() -> Mapping[str, str]:
    found = {"Python": platform.python_version()}
    for name in OURS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass
    peers = {f"{peer.distribution} (peer)": peer.version for peer in ENVIRONMENTS}
    return found | {name: number for name, number in peers.items() if number}
