"""`fastchat worker`, as before `python3 -m fastchat.serve.model_worker` and `multi_model_worker`."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic_settings import SettingsConfigDict

from fastchat.client.registration import own_address
from fastchat.core.errors import SetupError
from fastchat.core.serving import LOOPBACK_HOSTS, Listener, ServerSettings, check_exposure, run
from fastchat.core.settings import Items, setting
from fastchat.engines.base import Engine
from fastchat.engines.registry import EngineOptions, choose_engine, load_engine
from fastchat.model import builtin
from fastchat.model.sources import default_name, resolve
from fastchat.protocol.control import TOKEN_ENV
from fastchat.worker.models import SAMPLING_NAMES, HostedModels, SamplingDefaults
from fastchat.worker.process import WorkerProcess, close_all

log = logging.getLogger(__name__)

_NEEDS_TRANSFORMERS = "the llama.cpp engine takes the precision of the GGUF file; choose a file of the size you want"
_GONE = "this way of quantising is no longer maintained by its authors; use a quantised GGUF file"


class WorkerSettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_WORKER_")

    port: int = setting(21002, "port to listen on; 0 takes a free one")
    model_path: list[str] = setting(
        ["builtin"], "a .gguf file, a folder that holds one, or 'builtin'; repeat it for several models", metavar="PATH"
    )
    model_names: list[str] = setting(
        [], "names to answer to, with commas; repeat it once for each model path (default: last part of the path)"
    )
    engine: str = setting("auto", "what runs the model: auto, llamacpp, scripted")
    context_length: int | None = setting(None, "tokens a request may use, prompt and answer together", metavar="N")
    limit_worker_concurrency: int | None = setting(
        None, "requests answered at the same time (default: the engine's choice)", metavar="N"
    )
    max_waiting: int = setting(256, "requests that may wait beyond those; more get 429", metavar="N")
    controller_address: str = setting(
        "http://localhost:21001", "controller to register with", "--controller", metavar="URL"
    )
    worker_address: str | None = setting(
        None, "address callers reach this worker at (default: where it listens)", "--worker", metavar="URL"
    )
    no_register: bool = setting(False, "do not register with a controller")
    api_key: str | None = setting(None, "key that callers must show; better set by environment", metavar="KEY")
    token: str | None = setting(None, "the controller's secret; better set by environment", env=TOKEN_ENV)
    insecure: bool = setting(False, "listen beyond this machine without a key")
    conv_template: list[str] = setting([], "Jinja file that replaces the model's own chat template", metavar="FILE")
    engine_args: dict[str, Any] = setting({}, "settings of the engine, as JSON")
    adapters: dict[str, str] = setting({}, 'LoRA adapters as JSON, {"name": "path"}; each becomes a model')
    seed: int | None = setting(None, "seed for requests that bring none")
    default_sampling: dict[str, float] = setting(
        {},
        "sampling for requests that do not say, as JSON with OpenAI's names; also max_tokens of a chat "
        "(default: OpenAI's; for the built-in model what its authors recommend)",
    )
    device: Literal["cpu", "cuda", "mps"] | None = setting(None, "what to compute on (default: the best there is)")
    gpus: Items = setting((), "numbers of the GPUs to use")
    num_gpus: int | None = setting(None, "how many GPUs to use", metavar="N")
    drain_s: float = setting(30.0, "seconds that running answers get to finish after SIGTERM")
    max_body_mb: float = setting(32.0, "largest request body", metavar="MB")

    withdrawn: ClassVar[Mapping[str, str]] = {
        "--dtype": _NEEDS_TRANSFORMERS,
        "--load-8bit": _NEEDS_TRANSFORMERS,
        "--cpu-offloading": 'llama.cpp offloads by itself; set {"gpu_layers": N} in --engine-args',
        "--max-gpu-memory": 'set {"gpu_layers": N} in --engine-args',
        "--revision": "models are local files here",
        **dict.fromkeys(("--gptq-ckpt", "--gptq-wbits", "--gptq-groupsize", "--gptq-act-order"), _GONE),
        **dict.fromkeys(("--awq-ckpt", "--awq-wbits", "--awq-groupsize"), _GONE),
        **dict.fromkeys(("--enable-exllama", "--exllama-max-seq-len", "--exllama-gpu-split"), _GONE),
        **dict.fromkeys(("--exllama-cache-8bit", "--enable-xft", "--xft-max-seq-len", "--xft-dtype"), _GONE),
    }
    without_effect: ClassVar[Mapping[str, str]] = {
        "--stream-interval": "every token is streamed as it comes",
        "--embed-in-truncate": "an input beyond the context is an error",
        "--debug": "use --log-level DEBUG",
    }


def main(argv: Sequence[str] | None = None) -> None:
    settings = WorkerSettings.from_argv(argv, prog="fastchat worker", description="Serve one or more models.")
    is_protected = bool(settings.api_key or settings.token) or settings.insecure
    check_exposure(settings.host, is_protected=is_protected, remedy=f"set {TOKEN_ENV} or give --api-key")
    if settings.gpus:
        if settings.num_gpus and len(settings.gpus) < settings.num_gpus:
            raise SetupError(f"--num-gpus is {settings.num_gpus}, but --gpus names only {len(settings.gpus)}.")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(settings.gpus)
    run(_serve(settings))


async def _serve(settings: WorkerSettings) -> None:
    listener = settings.listener()
    loaded: list[tuple[Sequence[str], Engine, SamplingDefaults]] = []
    try:
        for number, path in enumerate(settings.model_path):
            names, defaults = _names(settings, number), _default_sampling(settings, path)
            loaded.append((names, await _load(settings, number, path), defaults))
        models = HostedModels.build(loaded, settings.max_waiting)
        is_exposed = settings.host not in LOOPBACK_HOSTS
        worker = WorkerProcess(
            models,
            listener,
            address=(settings.worker_address or _address(listener, settings)).rstrip("/"),
            api_key=settings.api_key or (settings.token if is_exposed else None),
        )
        await worker.run(
            controller_url=None if settings.no_register else settings.controller_address or None,
            token=settings.token,
            body_limit=round(settings.max_body_mb * 2**20),
            drain_s=settings.drain_s,
        )
    finally:
        await close_all([engine for _, engine, _ in loaded])


async def _load(settings: WorkerSettings, number: int, model_path: str) -> Engine:
    path = resolve(model_path)
    name = choose_engine(path) if settings.engine == "auto" else settings.engine
    log.info("loading %s with engine %s", path, name)
    template = _of_model(settings.conv_template, number)
    options = EngineOptions(
        model_path=path,
        context_length=settings.context_length,
        slots=settings.limit_worker_concurrency,
        device=settings.device,
        chat_template=_read_template(template) if template else None,
        adapters=settings.adapters,
        engine_args=settings.engine_args,
    )
    return await load_engine(name, options)


def _default_sampling(settings: WorkerSettings, model_path: str) -> SamplingDefaults:
    if unknown := set(settings.default_sampling) - set(SAMPLING_NAMES):
        raise SetupError(
            f"--default-sampling: there is no {sorted(unknown)[0]!r}. Allowed: {', '.join(SAMPLING_NAMES)}."
        )
    builtins = builtin.SAMPLING if model_path in builtin.ALIASES else {}
    seed = {} if settings.seed is None else {"seed": settings.seed}
    return {**builtins, **settings.default_sampling, **seed}


def _names(settings: WorkerSettings, number: int) -> list[str]:
    if settings.model_names and len(settings.model_names) != len(settings.model_path):
        raise SetupError(
            f"--model-names is given {len(settings.model_names)} times for {len(settings.model_path)} models; "
            "give it once for each --model-path, in the same order."
        )
    if not settings.model_names:
        return [default_name(settings.model_path[number])]
    return [name.strip() for name in settings.model_names[number].split(",") if name.strip()]


def _of_model(values: Sequence[str], number: int) -> str | None:
    """The value for one of several models; a single one is for all."""
    if len(values) <= 1:
        return values[0] if values else None
    return values[number] if number < len(values) else None


def _read_template(file: str) -> str:
    try:
        return Path(file).expanduser().read_text()
    except OSError as error:
        raise SetupError(f"--conv-template {file}: {error.strerror}. It takes the path of a Jinja file.") from None


def _address(listener: Listener, settings: WorkerSettings) -> str:
    if listener.host not in ("0.0.0.0", "::") or not settings.controller_address:
        return listener.url
    scheme = "https" if listener.tls else "http"
    return f"{scheme}://{own_address(settings.controller_address)}:{listener.port}"
