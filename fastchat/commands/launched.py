"""`fastchat vllm|sglang|mlx|lightllm|launch`: start a model server of another project and bring it into the system.

As before `python3 -m fastchat.serve.vllm_worker` and its like. Flags that are none of ours go to the server unchanged.
"""

import logging
import os
import secrets
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.client.registration import own_address
from fastchat.core import logs
from fastchat.core.errors import FastChatError, SetupError
from fastchat.core.places import run_dir
from fastchat.core.serving import Listener, check_exposure, run
from fastchat.core.settings import Items, Settings, setting
from fastchat.engines.launched.child import ServerChild
from fastchat.engines.launched.process import LaunchedProcess, Service
from fastchat.engines.launched.program import find_program, own_command, server_environ
from fastchat.engines.launched.table import AsFile, ServerKind, Value, as_flags, load_kinds
from fastchat.engines.launched.templates import format_for
from fastchat.model import builtin
from fastchat.model.sources import default_name
from fastchat.protocol.control import TOKEN_ENV

log = logging.getLogger(__name__)


class LaunchedSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_LAUNCHED_")

    model_path: str = setting(
        "builtin", "a folder with weights, a name on the hub, or 'builtin'", "--model", metavar="PATH"
    )
    model_names: Items = setting(
        (),
        "names to answer to (default: last part of the path)",
        *("--model-name", "--served-model-name"),
        metavar="A,B",
    )
    host: str = setting("localhost", "address the server listens on")
    port: int = setting(21002, "port the server listens on; 0 takes a free one")
    controller_address: str = setting(
        "http://localhost:21001", "controller to register with", "--controller", metavar="URL"
    )
    worker_address: str | None = setting(
        None, "address callers reach the server at (default: where it listens)", "--worker", metavar="URL"
    )
    no_register: bool = setting(False, "do not register with a controller")
    limit_worker_concurrency: PositiveInt | None = setting(
        None,
        "requests decoded at the same time (default: the server's choice)",
        *("--limit", "--max-num-seqs", "--max-running-requests"),
        metavar="N",
    )
    num_gpus: int | None = setting(
        None,
        "how many GPUs to spread the weights over (tensor parallelism)",
        *("--tensor-parallel-size", "--tp-size", "--tp"),
        metavar="N",
    )
    gpus: Items = setting((), "numbers of the GPUs to use")
    gpu_memory_utilization: float | None = setting(
        None,
        "share of each GPU's memory the server may take, weights and cache together; several can share a GPU",
        *("--mem-fraction-static", "--gpu-memory-fraction"),
        metavar="SHARE",
    )
    context_length: int | None = setting(
        None, "tokens a request may use, prompt and answer together", "--max-model-len", metavar="N"
    )
    tokenizer: str | None = setting(None, "tokenizer other than the model's", "--tokenizer-path", metavar="PATH")
    quantization: str | None = setting(None, "how the weights were quantised, such as awq or gptq", metavar="NAME")
    dtype: str | None = setting(None, "number format of weights and computation", metavar="NAME")
    revision: str | None = setting(None, "branch, tag or commit of a model on the hub")
    trust_remote_code: bool = setting(False, "run Python that comes with the model; only for authors you trust")
    conv_template: str | None = setting(
        None, "prompt format: a name from `fastchat prompts list`, or a Jinja file", metavar="NAME|FILE"
    )
    adapters: dict[str, str] = setting({}, 'LoRA adapters as JSON, {"name": "path"}; each becomes a model')
    draft_model: str | None = setting(None, "a small model that proposes tokens (speculative decoding)", metavar="PATH")
    seed: int | None = setting(None, "seed of the server's random numbers")
    api_key: str | None = setting(None, "key that callers must show; better set by environment", metavar="KEY")
    token: str | None = setting(None, "the controller's secret; better set by environment", env=TOKEN_ENV)
    insecure: bool = setting(False, "listen beyond this machine without a key")
    python: str | None = setting(None, "interpreter of the environment the server is installed in", metavar="PATH")
    engine_args: dict[str, Any] = setting({}, "further flags of the server, as JSON")
    start_timeout: float = setting(3600.0, "seconds the server may take to fetch and load the model", metavar="S")
    give_up_s: float = setting(120.0, "seconds without a sign of health after which the server is ended")
    drain_s: float = setting(30.0, "seconds that running answers get to finish after SIGTERM")
    log_level: logs.LogLevel = setting("INFO", "how much to log", env="FASTCHAT_LOG_LEVEL")
    log_format: logs.LogFormat = setting("text", "log lines for people or for machines", env="FASTCHAT_LOG_FORMAT")


class OwnCommandSettings(LaunchedSettings):
    launch: str | None = setting(
        None, "the command line, with {host}, {port}, {model} and {name} where they belong", metavar="COMMAND"
    )
    health: str | None = setting(None, "route that answers 200 when the server is ready (default: /v1/models)")


def main(argv: Sequence[str] | None = None) -> None:
    name, *arguments = list(sys.argv[1:] if argv is None else argv)
    kind = load_kinds()[name]
    settings, passed_on = parse(name, kind, arguments)
    logs.configure(settings.log_level, settings.log_format)
    try:
        run(_launch(name, kind, settings, passed_on))
    except SetupError:
        raise
    except FastChatError as error:  # the server's end, not a fault of ours: its last words, not our traceback
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(1) from None


def parse(name: str, kind: ServerKind, arguments: Sequence[str]) -> tuple[LaunchedSettings, list[str]]:
    """Our settings, and what is for the server."""
    cls = LaunchedSettings if kind.package else OwnCommandSettings
    own, verbatim = _partition(arguments)
    settings, unknown = cls.from_known_argv(
        _with_hyphens(own, cls),
        prog=f"fastchat {name}",
        description=f"Start {kind.title}, wait until it is ready, and register it. Unknown flags, and everything after "
        "--, are passed on to it.",
    )
    return settings, [*unknown, *verbatim]


async def _launch(name: str, kind: ServerKind, settings: LaunchedSettings, passed_on: Sequence[str]) -> None:
    if isinstance(settings, OwnCommandSettings) and settings.health:
        kind = kind.model_copy(update={"health": settings.health})
    api_key = settings.api_key or _own_key(kind, settings)
    is_protected = bool(api_key) or settings.insecure
    check_exposure(settings.host, is_protected=is_protected, remedy=f"set {TOKEN_ENV} or give --api-key")
    # Found to be free before anything slow starts; the server binds it itself once it is let go.
    listener = Listener(settings.host, settings.port)
    listener.socket.close()
    host, port = listener.host, listener.port
    names = settings.model_names or (default_name(settings.model_path),)
    argv = [
        *_program(name, kind, settings, host=host, port=port, names=names),
        *kind.words(_wanted(kind, settings, host=host, port=port, names=names, api_key=api_key), _as_file(name, port)),
        *as_flags(settings.engine_args),
        *passed_on,
    ]
    service = Service(
        name=name,
        kind=kind,
        url=listener.url,
        address=_address(listener, settings),
        model_names=names,
        capacity=settings.limit_worker_concurrency or kind.slots,
        context_length=settings.context_length,
        api_key=api_key,
        start_timeout_s=settings.start_timeout,
        give_up_s=settings.give_up_s,
        drain_s=settings.drain_s,
    )
    child = ServerChild(name, argv, server_environ(kind, argv[0], _environ(kind, settings, api_key)))
    controller = None if settings.no_register else settings.controller_address or None
    await LaunchedProcess(service, child).run(controller, settings.token)


def _partition(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What stands before `--`, and what behind it."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _with_hyphens(arguments: Sequence[str], cls: type[Settings]) -> list[str]:
    """FastChat wrote some flags with underscores, `--gpu_memory_utilization`. What is not ours stays as it is."""
    ours = {f"--{name.replace('_', '-')}" for name in cls.model_fields}
    result = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        hyphened = flag.replace("_", "-")
        result.append(hyphened + equals + value if hyphened in ours else argument)
    return result


def _own_key(kind: ServerKind, settings: LaunchedSettings) -> str | None:
    """A secret that callers learn from the controller, which hands keys out only to those who know its own."""
    is_shared = settings.token and settings.controller_address and not settings.no_register
    return secrets.token_urlsafe(24) if is_shared and kind.takes_keys else None


def _address(listener: Listener, settings: LaunchedSettings) -> str:
    if settings.worker_address:
        return settings.worker_address.rstrip("/")
    if listener.host not in ("0.0.0.0", "::") or not settings.controller_address:
        return listener.url
    return f"http://{own_address(settings.controller_address)}:{listener.port}"


def _program(
    name: str, kind: ServerKind, settings: LaunchedSettings, *, host: str, port: int, names: Sequence[str]
) -> list[str]:
    if not isinstance(settings, OwnCommandSettings):

        def found(model: str) -> list[str]:
            return find_program(name, kind, model, python=settings.python, environ=os.environ)

        found(settings.model_path)  # before the weights, which may take minutes to convert
        return found(_weights(settings.model_path))
    if not settings.launch:
        raise SetupError('What shall be launched? Give --launch "command … --port {port}".')
    model = _weights(settings.model_path) if "{model}" in settings.launch else ""
    values = {"host": host, "port": str(port), "model": model, "name": names[0]}
    return own_command(settings.launch, values, os.environ)


def _weights(model_path: str) -> str:
    """A folder, or a name on the hub, which the server fetches itself."""
    return str(builtin.ensure_safetensors() if model_path in builtin.ALIASES else os.path.expanduser(model_path))


def _wanted(
    kind: ServerKind, settings: LaunchedSettings, *, host: str, port: int, names: Sequence[str], api_key: str | None
) -> dict[str, Value]:
    """Everything a server may be told, by the names of `servers.toml`."""
    return {
        "host": host,
        "port": port,
        "model_names": names,
        "num_gpus": settings.num_gpus if settings.num_gpus != 1 else None,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "context_length": settings.context_length,
        "limit_worker_concurrency": settings.limit_worker_concurrency,
        "tokenizer": settings.tokenizer,
        "quantization": settings.quantization,
        "dtype": settings.dtype,
        "revision": settings.revision,
        "seed": settings.seed,
        "conv_template": _chat_template(kind, settings),
        "adapters": settings.adapters,
        "draft_model": settings.draft_model,
        "trust_remote_code": settings.trust_remote_code,
        "api_key": None if kind.api_key_env else api_key,
    }


def _chat_template(kind: ServerKind, settings: LaunchedSettings) -> str | None:
    """Of a model that has none of its own, or the one that is wanted."""
    if not settings.conv_template and "conv_template" not in kind.flags:
        return None
    choice = format_for(settings.conv_template, _weights(settings.model_path), settings.revision)
    if choice.format is None:
        return None
    log.info("prompt format: %s (%s)", choice.name, choice.reason)
    if choice.format.stop:
        log.warning("%s ends answers at %s only if requests say so in `stop`", kind.title, list(choice.format.stop))
    return choice.format.template


def _as_file(name: str, port: int) -> AsFile:
    """Keeps a text where the server can read it."""

    def write(text: str) -> str:
        file = run_dir() / f"{name}-{port}.jinja"
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(text)
        return str(file)

    return write


def _environ(kind: ServerKind, settings: LaunchedSettings, api_key: str | None) -> dict[str, str]:
    environ = {"CUDA_VISIBLE_DEVICES": ",".join(settings.gpus)} if settings.gpus else {}
    return environ | ({kind.api_key_env: api_key} if kind.api_key_env and api_key else {})
