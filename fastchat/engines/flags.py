"""The flags with which a command loads a model in its own process, and the loading itself.

FastChat's model flags keep their names; those whose way of quantising has died say so (`withdrawn`).
"""

import logging
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import PositiveInt

from fastchat.core.errors import SetupError
from fastchat.core.settings import Items, Settings, setting
from fastchat.engines.automatic import EngineChoice, choose_engine
from fastchat.engines.base import Engine
from fastchat.engines.formats import Choice, choose_format, formatted
from fastchat.engines.registry import (
    DataType,
    Device,
    EngineOptions,
    Quantization,
    load_engine,
    supported_options,
)
from fastchat.model.sources import resolve

log = logging.getLogger(__name__)

_GONE = "this way of quantising is no longer maintained by its authors; give a GPTQ or AWQ checkpoint as --model-path"


class ModelSettings(Settings):
    """What every command that loads a model understands. The path is the command's own."""

    engine: str = setting("auto", "what runs the model: auto, or the name of an engine", metavar="NAME")
    context_length: PositiveInt | None = setting(
        None, "tokens a request may use, prompt and answer together", metavar="N"
    )
    revision: str = setting("main", "branch, tag or commit of a model on the hub")
    device: Device | None = setting(None, "what to compute on (default: the best there is)")
    gpus: Items = setting((), "numbers of the GPUs to use")
    num_gpus: PositiveInt | None = setting(None, "how many GPUs to spread the weights over", metavar="N")
    max_gpu_memory: str | None = setting(None, "memory for weights on each GPU, as 8GiB", metavar="SIZE")
    dtype: DataType | None = setting(None, "number format of the weights (default: what suits model and device)")
    load_8bit: bool = setting(False, "quantise the weights to 8 bits while loading")
    load_4bit: bool = setting(False, "quantise the weights to 4 bits while loading")
    cpu_offloading: bool = setting(False, "keep weights that do not fit on the GPU in memory")
    trust_remote_code: bool = setting(False, "run Python that comes with the model; only for authors you trust")
    draft_model: str | None = setting(None, "a small model that proposes tokens (speculative decoding)", metavar="PATH")
    conv_template: list[str] = setting(
        [], "prompt format: a name from `fastchat prompts list`, or a Jinja file", metavar="NAME|FILE"
    )
    engine_args: dict[str, Any] = setting({}, "settings of the engine, as JSON")
    adapters: dict[str, str] = setting({}, 'LoRA adapters as JSON, {"name": "path"}; each becomes a model')

    withdrawn: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("--gptq-ckpt", "--gptq-wbits", "--gptq-groupsize", "--gptq-act-order"), _GONE),
        **dict.fromkeys(("--awq-ckpt", "--awq-wbits", "--awq-groupsize"), _GONE),
        **dict.fromkeys(("--enable-exllama", "--exllama-max-seq-len", "--exllama-gpu-split"), _GONE),
        **dict.fromkeys(("--exllama-cache-8bit", "--enable-xft", "--xft-max-seq-len", "--xft-dtype"), _GONE),
    }

    def choose_gpus(self) -> None:
        """Hide the other GPUs from this process; to be called before anything looks for them.

        Raises:
            SetupError: fewer are named than shall be used.
        """
        if not self.gpus:
            return
        if self.num_gpus and len(self.gpus) < self.num_gpus:
            raise SetupError(f"--num-gpus is {self.num_gpus}, but --gpus names only {len(self.gpus)}.")
        variable = "ZE_AFFINITY_MASK" if self.device == "xpu" else "CUDA_VISIBLE_DEVICES"
        os.environ[variable] = ",".join(self.gpus)

    @property
    def quantization(self) -> Quantization | None:
        if self.load_8bit and self.load_4bit:
            raise SetupError("--load-8bit and --load-4bit were both given; choose one.")
        return "int8" if self.load_8bit else "int4" if self.load_4bit else None

    async def load(self, model_path: str, *, slots: int | None = None, number: int = 0) -> Engine:
        """The engine with the model. `number` says which of several models it is, for flags that are given for each.

        Raises:
            SetupError: there is no such model, or no engine here loads it as asked.
        """
        path = resolve(model_path, self.revision)
        engine_choice = choose_engine(path) if self.engine == "auto" else EngineChoice(self.engine, "--engine names it")
        name = engine_choice.engine
        log.info("loading %s with engine %s (%s)", path, name, engine_choice.reason)
        choice = self._choose_format(name, path, model_path, number)
        options = EngineOptions(
            model_path=path,
            context_length=self.context_length,
            slots=slots,
            device=self.device,
            num_gpus=self.num_gpus or 1,
            max_gpu_memory=self.max_gpu_memory,
            dtype=self.dtype,
            quantization=self.quantization,
            cpu_offloading=self.cpu_offloading,
            trust_remote_code=self.trust_remote_code,
            draft_model=resolve(self.draft_model) if self.draft_model else None,
            chat_template=choice.template_for(name) if choice else None,
            adapters=self.adapters,
            engine_args=self.engine_args,
        )
        engine = await load_engine(name, options)
        return formatted(engine, choice) if choice else engine

    def _choose_format(self, engine: str, path: str, model_path: str, number: int) -> Choice | None:
        """None where the engine renders in its own way and nobody asked for another."""
        wanted = of_model(self.conv_template, number)
        if not wanted and "chat_template" not in (supported_options(engine) or ()):
            return None
        choice = choose_format(wanted, path, model_path)
        level = logging.INFO if choice.can_chat else logging.WARNING
        log.log(level, "prompt format of %s: %s (%s)", model_path, choice.name, choice.reason)
        return choice


def of_model(values: list[str], number: int) -> str | None:
    """The value for one of several models; a single one is for all."""
    if len(values) <= 1:
        return values[0] if values else None
    return values[number] if number < len(values) else None
