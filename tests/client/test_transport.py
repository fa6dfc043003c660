"""The byte pipe to servers of others: their paths, their keys, their certificates."""

import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fastchat.client.endpoint_file import EndpointEntry
from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Call, Pipe
from fastchat.core.errors import NoWorker, WorkerFailed
from fastchat.protocol.control import ServedModel
from tests.client.providers.dialects import OpenAIWire
from tests.client.providers.scripts import Provider, Refusal, Script
from tests.client.providers.servers import FakeProvider, serving


def call(**fields: Any) -> Call:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello?"}], **fields}
    return Call("/v1/chat/completions", "m", json.dumps(body).encode(), body, {"content-type": "application/json"})


async def answer(endpoint: Endpoint, sent: Call, tls: ssl.SSLContext | None = None) -> Mapping[str, Any]:
    fleet = Fleet()
    fleet.update([endpoint])
    pipe = Pipe(fleet, Http1Client(connect_s=5, idle_s=5, tls=tls))
    try:
        async with pipe.send(sent) as given:
            return {"status": given.status, **json.loads(given.body)}
    finally:
        await pipe.close()


@asynccontextmanager
async def provider(**tls: str) -> AsyncIterator[tuple[str, Provider]]:
    fake = FakeProvider(OpenAIWire())
    async with serving(fake, **tls) as url:
        yield url, fake.state


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/openai/v1", "/openai/v1/chat/completions"),
        ("/api/paas/v4", "/api/paas/v4/chat/completions"),
        ("/v1beta/openai/", "/v1beta/openai/chat/completions"),
    ],
)
async def test_requests_go_where_the_base_leads(base: str, path: str) -> None:
    async with provider() as (url, state):
        entry = EndpointEntry.model_validate({"model_name": "m", "api_base": url + base, "api_key": "k"})
        assert (await answer(entry.endpoint("m"), call()))["status"] == 200
    assert state.asked.path == path
    assert state.asked.headers["authorization"] == "Bearer k"


async def test_what_is_recommended_for_battles_changes_no_request() -> None:
    async with provider() as (url, state):
        recommended = {"temperature": 0.1, "max_new_tokens": 5, "extra_body": {"secret_sauce": 1}}
        given = {"model_name": "m", "api_base": url, "recommended_config": recommended, "custom_system_prompt": True}
        await answer(EndpointEntry.model_validate(given).endpoint("m"), call(top_p=0.5))
    assert state.asked.body == call(top_p=0.5).fields


async def test_a_key_refused_is_ours_only_where_we_sent_one() -> None:
    async with provider() as (url, state):
        state.script = Script(refusal=Refusal(401, "Incorrect API key provided: sk-12345."))
        plain = Endpoint("a", url, {"m": ServedModel(name="m")})
        assert (await answer(plain, call()))["status"] == 401
        with pytest.raises(WorkerFailed, match="refused the key that this server has") as failure:
            await answer(Endpoint("a", url, plain.models, api_key="sk-12345"), call())
    assert "12345" not in failure.value.message


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that no authority has signed, with its key in the same file."""
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    wanted = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=provider"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", *wanted, *names, "-keyout", "-", "-out", "-"]
    file.write_bytes(subprocess.run(made, check=True, capture_output=True).stdout)
    return file


async def test_tls_is_spoken_and_the_certificate_checked(certificate: Path) -> None:
    async with provider(ssl_certfile=str(certificate), ssl_keyfile=str(certificate)) as (url, state):
        endpoint = Endpoint("a", url, {"m": ServedModel(name="m", engine="hosted")}, api_key="k")
        with pytest.raises(NoWorker):
            await answer(endpoint, call())
        assert state.requests == [], "nothing is said to a server nobody vouches for"
        trusting = ssl.create_default_context(cafile=str(certificate))
        assert (await answer(endpoint, call(), trusting))["status"] == 200
        wrong_name = Endpoint("a", url.replace("127.0.0.1", "localhost"), endpoint.models)
        with pytest.raises(NoWorker):
            await answer(wrong_name, call(), trusting)
    assert state.asked.headers["authorization"] == "Bearer k"
    assert state.asked.headers["user-agent"].startswith("fastchat/")
