"""Ports are taken before anything starts."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from fastchat.core.errors import SetupError
from fastchat.launcher.config import Config
from fastchat.launcher.ports import Ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_taken_port_is_named_with_the_flag_that_chooses_another(taken_port: int) -> None:
    with pytest.raises(SetupError, match=rf":{taken_port}: .* Choose another with --port\."):
        Ports.open(Config(port=taken_port))


def test_a_taken_controller_port_is_not_blamed_on_the_gateway(taken_port: int) -> None:
    with pytest.raises(SetupError, match=rf":{taken_port}: .* Choose another with controller_port in the file"):
        Ports.open(Config(port=0, controller_port=taken_port))


def test_whoever_comes_before_the_server_waits_in_line() -> None:
    with closing(Ports.open(Config(port=0))) as ports:
        assert ports.web is not None
        for listener in (ports.controller, ports.gateway, ports.web):
            socket.create_connection((listener.host, listener.port), timeout=5).close()


def test_without_a_web_page_no_port_is_taken_for_it() -> None:
    with closing(Ports.open(Config(port=0, web=False))) as ports:
        assert ports.web is None
