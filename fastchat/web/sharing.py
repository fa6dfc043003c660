"""`--share`: a public link to the page, which leads through a server of Gradio's."""

import asyncio
import logging
import secrets
from collections.abc import Callable

from fastchat.core.serving import Listener

log = logging.getLogger(__name__)

EXPOSED = (
    "With --share everybody who has the link uses the models behind this page, and hosted models cost money; what is "
    "written can be read by the server of Gradio's that it passes through. %s"
)


class Link:
    """The link is made in the background: the page serves without it, and must not fail with it."""

    def __init__(self, listener: Listener, *, is_open: bool, tunnel: Callable[[str, int], str] | None = None) -> None:
        self._listener = listener
        self._is_open = is_open
        self._tunnel = tunnel or _gradio_tunnel
        self.asking: asyncio.Task[None] | None = None

    def ask_for(self) -> None:
        log.warning(EXPOSED, "Ask for a login with --gradio-auth-path." if self._is_open else "A login is asked for.")
        self.asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        if self._listener.tls:
            log.warning("No public link: the tunnel reaches only a page without TLS. Leave the certificate out.")
            return
        try:
            url = await asyncio.to_thread(self._tunnel, "127.0.0.1", self._listener.port)
        except Exception as error:  # whatever Gradio's downloads and subprocess raise
            log.warning("There is no public link: %s: %s", type(error).__name__, error)
        else:
            log.warning("Public link: %s", url)


def _gradio_tunnel(host: str, port: int) -> str:
    from gradio.networking import setup_tunnel

    url: str = setup_tunnel(host, port, secrets.token_urlsafe(32), None, None)
    return url
