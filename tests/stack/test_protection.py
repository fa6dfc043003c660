"""Keys, tokens, TLS and who may listen where."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import openai
import pytest

from fastchat.access.keys import new_key
from tests.stack.conftest import client_of
from tests.stack.system import Process, System, until

pytestmark = pytest.mark.xdist_group("stack-failures")

TOKEN = {"FASTCHAT_CONTROLLER_TOKEN": "the-token"}


def fastchat(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastchat", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_with_keys_every_api_route_wants_one(
    new_system: Callable[..., System], tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    made = new_key("anna")
    keys = tmp_path / "keys"
    keys.write_text(made.line)
    system = new_system({"FASTCHAT_API_KEYS": "one,two", "FASTCHAT_API_API_KEYS_FILE": str(keys)})
    system.worker("m")
    await system.until_served("m")
    for key in ("one", "two", made.key):
        async with client_of(system, api_key=key) as client:
            assert [model.id async for model in client.models.list()] == ["m"]
    async with client_of(system, api_key="three") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.models.list()
        assert refused.value.code == "invalid_api_key"
    for path in ("/v1/models", "/v1/models/m"):
        async with session.get(system.url + path) as reply:
            assert reply.status == 401
    async with session.post(f"{system.url}/v1/chat/completions", json={}) as reply:
        assert reply.status == 401
    async with session.get(f"{system.url}/v1/models", headers={"x-api-key": "one"}) as reply:
        assert reply.status == 200
    for path in ("/health", "/ready", "/metrics"):
        async with session.get(system.url + path) as reply:
            assert reply.status == 200


async def test_a_controller_with_a_token_hears_only_those_who_know_it(
    new_system: Callable[..., System], session: aiohttp.ClientSession
) -> None:
    system = new_system(TOKEN)
    worker = system.worker("m")
    await until(lambda: "registered at" in worker.logged(), "registration")
    body = {"url": "http://127.0.0.1:9", "models": [{"name": "evil"}]}
    async with session.put(f"{system.controller.url}/workers/evil", json=body) as reply:
        assert reply.status == 401
    async with session.get(f"{system.controller.url}/workers") as reply:
        assert reply.status == 401
    wrong = {"authorization": "Bearer wrong"}
    async with session.delete(f"{system.controller.url}/workers/x", headers=wrong) as reply:
        assert reply.status == 401


async def test_a_worker_with_a_key_is_reached_by_the_gateway_and_by_nobody_without_it(
    new_system: Callable[..., System], session: aiohttp.ClientSession
) -> None:
    system = new_system({**TOKEN, "FASTCHAT_WORKER_API_KEY": "workers-own"})
    worker = system.worker("m")

    async def answers() -> bool:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        try:
            async with session.post(f"{system.url}/v1/chat/completions", json=body) as reply:
                return reply.status == 200
        except aiohttp.ClientConnectionError:
            return False

    await until(answers, "an answer through the gateway")
    async with session.get(f"{worker.url}/v1/models") as reply:
        assert reply.status == 401


async def test_a_controller_without_a_token_takes_no_keys_to_hand_out(
    new_system: Callable[..., System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    await until(lambda: "Uvicorn running on" in system.controller.logged(), "the controller")
    body = {"url": "http://127.0.0.1:9", "models": [{"name": "m"}], "api_key": "secret"}
    async with session.put(f"{system.controller.url}/workers/w", json=body) as reply:
        assert reply.status == 400
        assert "FASTCHAT_CONTROLLER_TOKEN" in await reply.text()


async def test_a_request_target_that_is_no_path_leads_nowhere(new_system: Callable[..., System]) -> None:
    system = new_system()
    await until(lambda: "Uvicorn running on" in system.gateway.logged(), "the gateway")
    reader, writer = await asyncio.open_connection("127.0.0.1", system.gateway.port)
    writer.write(b"GET *@127.0.0.1:%d/workers HTTP/1.1\r\nhost: x\r\n\r\n" % system.controller.port)
    assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("command", ["controller", "worker"])
def test_beyond_loopback_a_server_wants_protection(command: str) -> None:
    done = fastchat(command, "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "FASTCHAT_CONTROLLER_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_said_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = fastchat("controller", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["worker", "--model-path", "/nowhere/at/all"], "There is no model at '/nowhere/at/all'"),
        (["worker", "--engine", "magic", "--model-path", "scripted"], "scripted"),
        (["worker", "--load-8bit"], "GGUF"),
        (["worker", "--model-path", "scripted", "--engine-args", "{"], "not JSON"),
        (["worker", "--model-path", "a", "--model-path", "b", "--model-names", "x"], "--model-names"),
        (["worker", "--conv-template", "/nowhere", "--model-path", "scripted"], "--conv-template"),
        (["api", "--port", "many"], "--port"),
        (["worker", "--model-path", "scripted", "--default-sampling", '{"heat": 1}'], "temperature"),
        (["keys", "new", "anna", "--file", "/nowhere/keys"], "/nowhere/keys"),
        (["api", "--api-keys", ""], "names no key"),
        (["api", "--log-level", "loud"], "WARNING"),
        (["api", "--api-keys-file", "/nowhere"], "/nowhere"),
        (["controller", "--ssl-keyfile", "/nowhere"], "--ssl-certfile"),
        (["controller", "--dispatch-method", "best"], "shortest_queue"),
        (["message"], "--model-name"),
        (["register", "--worker-name", "localhost"], "http://"),
        (["dance"], "controller"),
    ],
)
def test_a_users_mistake_is_explained_without_a_traceback(arguments: list[str], words: str) -> None:
    done = fastchat(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_tls_and_cors_work(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*openssl, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    env = {"SSL_KEYFILE": str(key), "SSL_CERTFILE": str(certificate)}
    flags = ["--ssl", "--controller-address", "http://127.0.0.1:9", "--allowed-origins", '["https://app.example"]']
    server = Process("tls", tmp_path, ["fastchat.serve.openai_api_server", *flags], env)
    server.start()
    try:
        asyncio.run(_check_tls_and_cors(server.url.replace("http", "https"), certificate))
    finally:
        server.stop()


async def _check_tls_and_cors(url: str, certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    trusting.check_hostname = False
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:

        async def is_up() -> bool:
            try:
                async with session.get(f"{url}/health") as reply:
                    return reply.status == 200
            except aiohttp.ClientConnectionError:
                return False

        await until(is_up, "TLS")
        ours = {"origin": "https://app.example"}
        async with session.post(f"{url}/v1/completions", data=b"{", headers=ours) as reply:
            assert reply.status == 400
            assert json.loads(await reply.read())["error"]
            assert reply.headers["access-control-allow-origin"] == "https://app.example"
        async with session.get(f"{url}/health", headers={"origin": "https://evil.example"}) as reply:
            assert "access-control-allow-origin" not in reply.headers
