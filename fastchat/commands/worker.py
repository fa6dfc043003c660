"""`fastchat worker`, as before `python3 -m fastchat.serve.model_worker` and `multi_model_worker`."""

import logging
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.client.images import ImageLimits, ImageLoader
from fastchat.client.registration import own_address
from fastchat.core.errors import SetupError
from fastchat.core.serving import LOOPBACK_HOSTS, Listener, ServerSettings, check_exposure, run
from fastchat.core.settings import setting
from fastchat.engines.base import Engine
from fastchat.engines.flags import ModelSettings
from fastchat.model import builtin
from fastchat.model.sources import default_name
from fastchat.protocol.control import TOKEN_ENV
from fastchat.worker.models import SAMPLING_NAMES, HostedModels, SamplingDefaults
from fastchat.worker.process import WorkerProcess, close_all

log = logging.getLogger(__name__)


class WorkerSettings(ModelSettings, ServerSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_WORKER_")

    port: int = setting(21002, "port to listen on; 0 takes a free one")
    model_path: list[str] = setting(
        ["builtin"],
        "a .gguf file, a folder with weights, a name on the hub, or 'builtin'; repeat it for several models",
        metavar="PATH",
    )
    model_names: list[str] = setting(
        [], "names to answer to, with commas; repeat it once for each model path (default: last part of the path)"
    )
    limit_worker_concurrency: PositiveInt | None = setting(
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
    seed: int | None = setting(None, "seed for requests that bring none")
    default_sampling: dict[str, float] = setting(
        {},
        "sampling for requests that do not say, as JSON with OpenAI's names; also max_tokens of a chat "
        "(default: OpenAI's; for the built-in model what its authors recommend)",
    )
    drain_s: float = setting(30.0, "seconds that running answers get to finish after SIGTERM")
    max_image_mb: float = setting(20.0, "largest image in a message", metavar="MB")
    private_images: bool = setting(False, "fetch images from private addresses too")
    max_body_mb: float = setting(32.0, "largest request body", metavar="MB")

    without_effect: ClassVar[Mapping[str, str]] = {
        "--stream-interval": "every token is streamed as it comes",
        "--embed-in-truncate": "an input beyond the context is an error",
        "--debug": "use --log-level DEBUG",
    }


def main(argv: Sequence[str] | None = None) -> None:
    settings = WorkerSettings.from_argv(argv, prog="fastchat worker", description="Serve one or more models.")
    is_protected = bool(settings.api_key or settings.token) or settings.insecure
    check_exposure(settings.host, is_protected=is_protected, remedy=f"set {TOKEN_ENV} or give --api-key")
    settings.choose_gpus()
    run(_serve(settings))


async def _serve(settings: WorkerSettings) -> None:
    listener = settings.listener()
    loaded: list[tuple[Sequence[str], Engine, SamplingDefaults]] = []
    try:
        for number, path in enumerate(settings.model_path):
            names, defaults = _names(settings, number), _default_sampling(settings, path)
            engine = await settings.load(path, slots=settings.limit_worker_concurrency, number=number)
            loaded.append((names, engine, defaults))
        models = HostedModels.build(loaded, settings.max_waiting)
        is_exposed = settings.host not in LOOPBACK_HOSTS
        worker = WorkerProcess(
            models,
            listener,
            address=(settings.worker_address or _address(listener, settings)).rstrip("/"),
            api_key=settings.api_key or (settings.token if is_exposed else None),
            images=ImageLoader(
                ImageLimits(max_bytes=round(settings.max_image_mb * 2**20), allow_private=settings.private_images)
            ),
        )
        await worker.run(
            controller_url=None if settings.no_register else settings.controller_address or None,
            token=settings.token,
            body_limit=round(settings.max_body_mb * 2**20),
            drain_s=settings.drain_s,
        )
    finally:
        await close_all([engine for _, engine, _ in loaded])


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


def _address(listener: Listener, settings: WorkerSettings) -> str:
    if listener.host not in ("0.0.0.0", "::") or not settings.controller_address:
        return listener.url
    scheme = "https" if listener.tls else "http"
    return f"{scheme}://{own_address(settings.controller_address)}:{listener.port}"
