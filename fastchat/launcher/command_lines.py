"""The command line and environment of each child process.

Secrets go by environment, never on the command line, where every user of the machine could read them.
"""

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Self

from fastchat.core.errors import SetupError
from fastchat.core.places import run_dir
from fastchat.core.serving import Listener
from fastchat.engines.launched.table import load_kinds
from fastchat.launcher.arenas import write_arenas
from fastchat.launcher.config import Config, LocalModel
from fastchat.launcher.model_options import OF_SERVERS, loading_flags
from fastchat.launcher.parent import FD_ENV
from fastchat.launcher.ports import LOOPBACK, Ports
from fastchat.launcher.processes import STOP_GRACE_S, Command
from fastchat.protocol.control import TOKEN_ENV, controller_token

API_KEYS_ENV = "FASTCHAT_API_KEYS"
DATABASE_ENV = "FASTCHAT_WEB_DATABASE_URL"
LONGEST_ANSWER_S = 3600


@dataclass(frozen=True, slots=True)
class CommandLines:
    """What all children have in common, and how each is told what it needs."""

    config: Config
    ports: Ports
    parent_fd: int
    log_dir: Path
    token: str
    api_keys: tuple[str, ...] = ()  # what the gateway lets in, besides those in the file

    @classmethod
    def prepare(cls, config: Config, ports: Ports, parent_fd: int) -> Self:
        """With the secrets of our environment, and new ones for what was given none.

        Raises:
            SetupError: there can be no logs where they are wanted.
        """
        keys = tuple(key.get_secret_value() for key in config.api_keys) or _inherited_keys()
        return cls(
            config=config,
            ports=ports,
            parent_fd=parent_fd,
            log_dir=_make_folder(config.log_dir or run_dir() / f"logs-{ports.gateway.port}"),
            token=controller_token() or secrets.token_urlsafe(24),
            api_keys=keys,
        )

    @property
    def needs_key(self) -> bool:
        return bool(self.api_keys or self.config.api_keys_file)

    def for_controller(self) -> Command:
        arguments = [*_at(self.ports.controller), "--dispatch-method", self.config.policy]
        return self._command("controller", "controller", arguments, listener=self.ports.controller)

    def for_gateway(self) -> Command:
        arguments = [*_at(self.ports.gateway), "--controller-address", self.ports.controller.url]
        if self.config.api_keys_file:
            arguments += ["--api-keys-file", str(self.config.api_keys_file)]
        if self.ports.web:
            arguments += ["--web-url", self.ports.web.url]
        if self.config.trusted_proxies:
            arguments += ["--trusted-proxies", ",".join(self.config.trusted_proxies)]
        environ = {API_KEYS_ENV: ",".join(self.api_keys)} if self.api_keys else {}
        return self._command("gateway", "api", arguments, listener=self.ports.gateway, environ=environ)

    def for_web(self, listener: Listener) -> Command:
        """
        Raises:
            SetupError: the file that tells it of the arenas cannot be written.
        """
        config = self.config
        arenas = write_arenas(config, self.log_dir / "arenas.json")
        arguments = [*_at(listener), "--arena", "--arenas", str(arenas)]
        arguments += ["--controller-url", self.ports.controller.url]
        if config.data_dir:
            arguments += ["--data-dir", str(config.data_dir)]
        if config.logins_file:
            arguments += ["--gradio-auth-path", str(config.logins_file)]
        if config.admins:
            arguments += ["--admins", ",".join(config.admins)]
        if self.needs_key:
            arguments += ["--api-needs-key"]
        url = config.database_url
        environ = {DATABASE_ENV: url.get_secret_value()} if url else {}
        return self._command("web", "web", arguments, listener=listener, environ=environ)

    def for_worker(self, name: str, model: LocalModel) -> Command:
        is_launched = model.engine in load_kinds()
        arguments = [
            *("--model-path", model.model, "--model-names", ",".join(model.served_names)),
            *("--controller-address", self.ports.controller.url, "--host", LOOPBACK, "--port", "0"),
            *(_for_server(model) if is_launched else _for_engine(model)),
        ]
        if model.context_length:
            arguments += ["--context-length", str(model.context_length)]
        if model.slots:
            arguments += ["--limit-worker-concurrency", str(model.slots)]
        if model.adapters:
            arguments += ["--adapters", json.dumps(model.adapters)]
        if model.gpus:
            arguments += ["--gpus", ",".join(map(str, model.gpus))]
        # A model that is removed may finish its longest answer; when all stops, the supervisor is less patient.
        arguments += ["--drain-s", str(LONGEST_ANSWER_S)]
        command = self._command(name, model.engine if is_launched else "worker", arguments)
        return replace(command, grace_s=LONGEST_ANSWER_S + STOP_GRACE_S)

    def _command(
        self,
        name: str,
        subcommand: str,
        arguments: Sequence[str],
        *,
        listener: Listener | None = None,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> Command:
        inherited = {key: value for key, value in os.environ.items() if key != API_KEYS_ENV}
        own = {TOKEN_ENV: self.token, FD_ENV: str(self.parent_fd)}
        return Command(
            name=name,
            # -P: a folder `fastchat` where the user happens to stand is not imported in our place
            argv=(sys.executable, "-P", "-m", "fastchat", subcommand, *arguments),
            environ=inherited | own | dict(environ),
            pass_fds=(self.parent_fd, listener.socket.fileno()) if listener else (self.parent_fd,),
            log_dir=self.log_dir,
        )


def _for_engine(model: LocalModel) -> list[str]:
    engine_args = model.worker_engine_args
    arguments = ["--engine", model.engine, *loading_flags(model)]
    return [*arguments, "--engine-args", json.dumps(engine_args)] if engine_args else arguments


def _for_server(model: LocalModel) -> list[str]:
    """What a launched server is told otherwise than a worker of ours."""
    arguments = ["--engine-args", json.dumps(model.engine_args)] if model.engine_args else []
    if model.gpu_memory_fraction:
        arguments += ["--gpu-memory-utilization", str(model.gpu_memory_fraction)]
    if (gpus := model.num_gpus or len(model.gpus)) > 1:
        arguments += ["--num-gpus", str(gpus)]
    return [*arguments, *loading_flags(model, OF_SERVERS)]


def _at(listener: Listener) -> list[str]:
    return ["--host", listener.host, "--port", str(listener.port), "--fd", str(listener.socket.fileno())]


def _inherited_keys() -> tuple[str, ...]:
    return tuple(key.strip() for key in os.environ.get(API_KEYS_ENV, "").split(",") if key.strip())


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"Logs cannot be written to {folder}: {error.strerror}. Choose with --log-dir.") from None
    return folder
