"""The sockets of controller, gateway and web page, opened by the supervisor and handed down to its children.

A port that is taken is noticed before anything starts, and a server that is started again finds its socket with
whoever knocked meanwhile still waiting in line.
"""

from contextlib import ExitStack
from dataclasses import dataclass

from fastchat.core.errors import SetupError
from fastchat.core.serving import Listener
from fastchat.launcher.config import Config

LOOPBACK = "127.0.0.1"
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Ports:
    controller: Listener
    gateway: Listener
    web: Listener | None

    @classmethod
    def open(cls, config: Config) -> "Ports":
        """
        Raises:
            SetupError: a port is taken, or may not be used.
        """
        with ExitStack() as opened:
            gateway = _open(config.host, config.port, "--port", opened)
            controller = _open(LOOPBACK, config.controller_port, "controller_port in the file", opened)
            web = _open(LOOPBACK, 0, "", opened) if config.web else None
            opened.pop_all()
        return cls(controller, gateway, web)

    def close(self) -> None:
        for listener in (self.controller, self.gateway, self.web):
            if listener:
                listener.socket.close()


def _open(host: str, port: int, setting: str, opened: ExitStack) -> Listener:
    try:
        listener = Listener(host, port)
        opened.callback(listener.socket.close)
        # Linux lets two programs bind one port; only the second to listen is refused.
        listener.socket.listen(BACKLOG)
    except SetupError as error:
        raise SetupError(error.message.replace("--port", setting)) from None
    except OSError as error:
        raise SetupError(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with {setting}.") from None
    return listener
