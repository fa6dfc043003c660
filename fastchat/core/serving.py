"""Run an ASGI app as a process of ours: socket, TLS, signals."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from fastchat.core import logs
from fastchat.core.errors import SetupError
from fastchat.core.processes import record_of_process
from fastchat.core.settings import Settings, setting

log = logging.getLogger(__name__)

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Tls:
    keyfile: str
    certfile: str

    @classmethod
    def from_flags(cls, *, wanted: bool, keyfile: str | None, certfile: str | None) -> "Tls | None":
        """FastChat's `--ssl` takes the files from `SSL_KEYFILE` and `SSL_CERTFILE`; naming a file asks for TLS too."""
        if not (wanted or keyfile or certfile):
            return None
        keyfile, certfile = keyfile or os.environ.get("SSL_KEYFILE"), certfile or os.environ.get("SSL_CERTFILE")
        if not keyfile or not certfile:
            raise SetupError("TLS needs two files: --ssl-keyfile and --ssl-certfile, or SSL_KEYFILE and SSL_CERTFILE.")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile)
        except (OSError, ssl.SSLError) as error:
            raise SetupError(f"TLS cannot use certificate {certfile} with key {keyfile}: {error}.") from None
        return cls(keyfile, certfile)


class Listener:
    """A bound socket: the address is known, and taken, before anything slow starts."""

    def __init__(self, host: str, port: int, *, fd: int | None = None, tls: Tls | None = None) -> None:
        self.tls = tls
        self.socket = _bind(host, port) if fd is None else socket.socket(fileno=fd)
        self.host, self.port = self.socket.getsockname()[:2]

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(self.host, self.host)
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SetupError(f"--host {host}: {error.strerror or error}.") from None
    bound = socket.socket(family, kind, proto)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise SetupError(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port.") from None
    return bound


class ServerSettings(Settings):
    """What every server of ours can be told."""

    host: str = setting("localhost", "address to listen on")
    port: int = setting(0, "port to listen on; 0 takes a free one")
    fd: int | None = setting(None, "serve on this inherited, listening socket instead")
    ssl: bool = setting(False, "serve TLS with the files that SSL_KEYFILE and SSL_CERTFILE name")
    ssl_keyfile: str | None = setting(None, "private key for TLS")
    ssl_certfile: str | None = setting(None, "certificate for TLS")
    log_level: logs.LogLevel = setting("INFO", "how much to log", env="FASTCHAT_LOG_LEVEL")
    log_format: logs.LogFormat = setting("text", "log lines for people or for machines", env="FASTCHAT_LOG_FORMAT")

    def listener(self) -> Listener:
        """Configure logging and take the address.

        Raises:
            SetupError: the address is taken, or the TLS files do not work.
        """
        logs.configure(self.log_level, self.log_format)
        tls = Tls.from_flags(wanted=self.ssl, keyfile=self.ssl_keyfile, certfile=self.ssl_certfile)
        return Listener(self.host, self.port, fd=self.fd, tls=tls)


def check_exposure(host: str, *, is_protected: bool, remedy: str) -> None:
    """Refuse to listen beyond this machine unprotected.

    Raises:
        SetupError: says what would protect it, and how to insist.
    """
    if host not in LOOPBACK_HOSTS and not is_protected:
        raise SetupError(
            f"--host {host} would let anybody who reaches this machine in. To protect it, {remedy}; "
            "to listen unprotected all the same, add --insecure."
        )


class _Server(uvicorn.Server):
    """uvicorn with a word to the app before the socket closes, and a return instead of a signal at the end."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: Listener,
        on_ready: Callable[[], None],
        on_drain: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._on_ready = on_ready
        self._on_drain = on_drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            log.info("Uvicorn running on %s (press CTRL+C to quit)", self._listener.url)
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        try:
            if not self.should_exit:
                self._on_drain()
        finally:  # whatever goes wrong there, who was told to end ends
            super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again once it is done, which would skip every `finally` around us.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


async def serve(
    app: ASGIApp,
    listener: Listener,
    *,
    role: str,
    drain_s: float = 30.0,
    on_ready: Callable[[], None] = lambda: None,
    on_drain: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs, for at most `drain_s` seconds. A second Ctrl-C hurries.

    `on_ready` is called when connections are accepted, `on_drain` just before they no longer are.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws="none",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,  # longer than our clients keep theirs, so that they, not we, close first
        timeout_graceful_shutdown=max(1, round(drain_s)),
        backlog=4096,
        ssl_keyfile=listener.tls.keyfile if listener.tls else None,
        ssl_certfile=listener.tls.certfile if listener.tls else None,
    )
    with record_of_process(role, listener.url):
        await _Server(config, listener, on_ready, on_drain).serve(sockets=[listener.socket])


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a command's coroutine on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
