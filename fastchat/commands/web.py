"""`fastchat web`, as before `python3 -m fastchat.serve.gradio_web_server`."""

import gc
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from fastchat.core.errors import MissingPackage
from fastchat.core.serving import run, serve
from fastchat.web.settings import Limits, Pace, WebSettings
from fastchat.web.sharing import Link

PACKAGES = ("gradio", "sqlalchemy", "cryptography")  # of those that the extra brings, the ones that others lack


def main(argv: Sequence[str] | None = None) -> None:
    settings = WebSettings.from_argv(argv, prog="fastchat web", description="Serve the web page.")
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingPackage(package, "webui", "The web page")
    run(_serve(settings))


async def _serve(settings: WebSettings) -> None:
    listener = settings.listener()
    from fastchat.web.process import backstage

    pace, limits = Pace(), Limits()
    async with backstage(settings, pace, limits) as behind:
        _keep_gradio_at_home(behind.uploads.folder)
        from fastchat.web.app import Parts, create_app  # three seconds of Gradio: after the flags and the port

        app = create_app(
            settings,
            Parts(
                arena=behind.arena,
                fleet=behind.fleet,
                access=behind.access,
                uploads=behind.uploads,
                oversight=behind.oversight,
                board=behind.board,
                pace=pace,
                limits=limits,
            ),
        )
        # Half a million objects that stay as long as the process: no use looking through them again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        is_open = not behind.access.visitors.directory.asks_for_login
        link = Link(listener, is_open=is_open) if settings.share else None
        await serve(
            app.asgi,
            listener,
            role="web",
            drain_s=pace.drain_s,
            on_ready=link.ask_for if link else lambda: None,
            on_drain=app.let_go,
        )


def _keep_gradio_at_home(uploads: Path) -> None:
    """What Gradio reads once, when it is imported: it must call nobody, and put files where we look after them."""
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(uploads),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    # Gradio tries to import matplotlib at every update it sends; where that fails, the search costs 64 µs each time.
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]  # None is how Python notes "cannot be imported"
