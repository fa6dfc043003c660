"""`fastchat web`, as before `python3 -m fastchat.serve.gradio_web_server`."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from fastchat.client.endpoint_file import load_endpoints
from fastchat.core.errors import MissingPackage
from fastchat.core.serving import Listener, run, serve
from fastchat.gateway.embedded import embedded_gateway
from fastchat.gateway.process import GatewayOptions
from fastchat.web.logins import read_logins
from fastchat.web.settings import Pace, WebSettings
from fastchat.web.sharing import Link

BODY_LIMIT = 32 * 2**20


def main(argv: Sequence[str] | None = None) -> None:
    settings = WebSettings.from_argv(argv, prog="fastchat web", description="Serve the web page.")
    for package in ("gradio", "openai"):
        if find_spec(package) is None:
            raise MissingPackage(package, "webui", "The web page")
    run(_serve(settings))


async def _serve(settings: WebSettings) -> None:
    listener = settings.listener()
    if settings.api_url:
        await _serve_page(settings, listener)
        return
    file = settings.register_api_endpoint_file
    options = GatewayOptions(
        controller_url=settings.controller_url,
        token=settings.token,
        web_url=None,
        body_limit=BODY_LIMIT,
        idle_s=Pace().answer_timeout_s,
        drain_s=Pace().drain_s,
        endpoints=load_endpoints(file) if file else (),
    )
    async with embedded_gateway(options) as api:
        found = {"api_url": api.url, "api_key": api.key, "public_api_url": settings.shown_api_url}
        await _serve_page(settings.model_copy(update=found), listener)


async def _serve_page(settings: WebSettings, listener: Listener) -> None:
    logins = read_logins(settings.gradio_auth_path) if settings.gradio_auth_path else []
    _keep_gradio_at_home()
    from fastchat.web.app import create_app  # three seconds of Gradio: after the flags are read and the port is ours

    app = create_app(settings, logins=logins)
    link = Link(listener, is_open=not logins) if settings.share else None
    await serve(
        app.asgi,
        listener,
        role="web",
        drain_s=Pace().drain_s,
        on_ready=link.ask_for if link else lambda: None,
        on_drain=app.let_go,
    )


def _keep_gradio_at_home() -> None:
    """What Gradio reads once, when it is imported: it must call nobody."""
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    # Gradio tries to import matplotlib at every update it sends; where that fails, the search costs 64 µs each time.
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]  # None is how Python notes "cannot be imported"
