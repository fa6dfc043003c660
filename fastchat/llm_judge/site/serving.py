"""The pages over HTTP, to be read only."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from fastchat.core.errors import SetupError
from fastchat.llm_judge.site.pages import INDEX, Site


@contextmanager
def opened(site: Site, host: str, port: int) -> Iterator[ThreadingHTTPServer]:
    """
    Raises:
        SetupError: the port is taken, or there is no such address.
    """

    class Handler(_Handler):
        pages = site

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SetupError(f"{host}:{port} cannot be listened on: {reason}. Name another --host or --port.") from None
    with server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    pages: Site

    def do_GET(self) -> None:
        self._reply(with_body=True)

    def do_HEAD(self) -> None:
        self._reply(with_body=False)

    def _reply(self, *, with_body: bool) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/")
        page = self.pages.page(name or INDEX)
        if page is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = page.encode("utf-8", "replace")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody needs to read who looked at what."""
