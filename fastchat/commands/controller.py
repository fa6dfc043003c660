"""`fastchat controller`, as before `python3 -m fastchat.serve.controller`."""

import time
from collections.abc import Sequence

from pydantic_settings import SettingsConfigDict

from fastchat.controller.app import ControllerApp
from fastchat.controller.registry import WorkerRegistry
from fastchat.core.serving import ServerSettings, check_exposure, run, serve
from fastchat.core.settings import setting
from fastchat.protocol.control import TOKEN_ENV, TTL_S, PolicyName


class ControllerSettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_CONTROLLER_")

    port: int = setting(21001, "port to listen on; 0 takes a free one")
    dispatch_method: PolicyName = setting("least_loaded", "how callers choose among workers")
    token: str | None = setting(None, "secret that workers and callers must show; better set by environment")
    heart_beat_expiration: float = setting(TTL_S, "seconds of silence after which a worker is forgotten", metavar="S")
    insecure: bool = setting(False, "listen beyond this machine without a token")


def main(argv: Sequence[str] | None = None) -> None:
    settings = ControllerSettings.from_argv(
        argv, prog="fastchat controller", description="Keep the list of workers that serve models."
    )
    check_exposure(settings.host, is_protected=bool(settings.token) or settings.insecure, remedy=f"set {TOKEN_ENV}")
    run(_serve(settings))


async def _serve(settings: ControllerSettings) -> None:
    listener = settings.listener()
    registry = WorkerRegistry(settings.dispatch_method, time.monotonic, ttl_s=settings.heart_beat_expiration)
    controller = ControllerApp(registry, settings.token)
    await serve(controller.asgi(), listener, role="controller", on_drain=controller.stop_waiting)
