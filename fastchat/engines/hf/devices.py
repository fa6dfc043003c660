"""Which device and number format a model gets, from what there is on this machine.

`look` finds out what there is; the rest decides from that alone, so that it can be tested without the machines.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from fastchat.core.errors import SetupError
from fastchat.engines.hf.loaded import Kind
from fastchat.engines.hf.settings import memory_size
from fastchat.engines.registry import DataType, Device, EngineOptions

log = logging.getLogger(__name__)

_SHARE_OF_FREE = 0.85  # of a GPU's free memory that weights may take; the rest is for caches and activations


@dataclass(frozen=True, slots=True)
class Hardware:
    """What PyTorch finds here."""

    gpus: Sequence[int] = ()  # free bytes of each of NVIDIA's or AMD's
    gpus_know_bfloat16: bool = False
    xpus: Sequence[int] = ()  # of Intel's
    npus: Sequence[int] = ()  # of Huawei's
    has_metal: bool = False
    cpu_knows_bfloat16: bool = False
    memory: int | None = None  # free bytes of main memory; None: not looked for

    def count(self, device: Device) -> int:
        counts = {"cpu": 1, "mps": int(self.has_metal)}
        return counts.get(device) or len(self.free(device))

    def free(self, device: Device) -> Sequence[int]:
        return {"cuda": self.gpus, "xpu": self.xpus, "npu": self.npus}.get(device, ())

    @property
    def devices(self) -> list[Device]:
        """Best first."""
        order: tuple[Device, ...] = ("cuda", "xpu", "npu", "mps", "cpu")
        return [device for device in order if self.count(device)]


def look() -> Hardware:
    import psutil
    import torch

    def free_of(kind: str) -> list[int]:
        # Absent in builds of PyTorch for other hardware; `npu` comes with the package torch_npu.
        module = getattr(torch, kind, None)
        if module is None or not module.is_available():
            return []
        return [module.mem_get_info(number)[0] for number in range(module.device_count())]

    gpus = free_of("cuda")
    return Hardware(
        gpus=gpus,
        gpus_know_bfloat16=bool(gpus) and torch.cuda.is_bf16_supported(including_emulation=False),
        xpus=free_of("xpu"),
        npus=free_of("npu"),
        has_metal=torch.backends.mps.is_available(),
        cpu_knows_bfloat16=torch.ops.mkldnn._is_mkldnn_bf16_supported(),
        memory=psutil.virtual_memory().available,
    )


def choose_device(options: EngineOptions, hardware: Hardware) -> Device:
    """
    Raises:
        SetupError: what is asked for is not here.
    """
    found = hardware.devices
    device = options.device or found[0]
    if device not in found:
        raise SetupError(
            f"--device {device}: PyTorch finds none here. It finds: {', '.join(found)}. "
            "If the hardware is there, its driver or the build of PyTorch for it is missing."
        )
    if options.num_gpus > hardware.count(device):
        raise SetupError(f"--num-gpus {options.num_gpus}: PyTorch finds {len(hardware.free(device))} here.")
    if not hardware.free(device) and (options.max_gpu_memory or options.cpu_offloading):
        raise SetupError(
            f"--max-gpu-memory and --cpu-offloading are for GPUs with memory of their own; PyTorch finds: "
            f"{', '.join(found)}."
        )
    return device


def choose_dtype(
    options: EngineOptions, device: Device, hardware: Hardware, kind: Kind, checkpoint: str | None
) -> DataType:
    """`checkpoint` is the format of the weights on disk; None where the model does not say."""
    if options.dtype:
        if options.dtype == "float16" and device == "cpu":
            log.warning("float16 is very slow on a CPU; bfloat16 or float32 are not")
        return options.dtype
    if kind == "encoder" and device == "cpu":
        return "float32"  # small, and their answers are compared digit by digit
    if device == "cpu":
        return "bfloat16" if hardware.cpu_knows_bfloat16 else "float32"
    if device == "cuda":
        return "bfloat16" if hardware.gpus_know_bfloat16 and checkpoint != "float16" else "float16"
    return "bfloat16" if device == "xpu" else "float16"


def memory_limits(options: EngineOptions, device: Device, hardware: Hardware) -> dict[int | str, int] | None:
    """Bytes for weights by GPU, and of main memory (`cpu`); None where all goes to one device."""
    if options.num_gpus == 1 and not options.max_gpu_memory and not options.cpu_offloading:
        return None
    free = hardware.free(device)[: options.num_gpus]
    if options.max_gpu_memory:
        limits: dict[int | str, int] = dict.fromkeys(range(len(free)), memory_size(options.max_gpu_memory))
    else:
        limits = {number: int(size * _SHARE_OF_FREE) for number, size in enumerate(free)}
    limits["cpu"] = (hardware.memory or 0) if options.cpu_offloading else 0
    return limits
