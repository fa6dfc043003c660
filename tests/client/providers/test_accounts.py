"""As whom a provider is spoken to: as its entry says, and with nothing that lies on this machine for others."""

import pytest

from fastchat.client.endpoints import Endpoint
from fastchat.client.providers.base import Account
from fastchat.client.providers.registry import Providers, connect
from fastchat.core.errors import SetupError, WorkerFailed
from fastchat.protocol.control import ServedModel
from tests.client.providers.dialects import WIRES
from tests.client.providers.servers import hosted


@pytest.mark.parametrize("wire", ["anthropic", "openai_o1", "azure"])
async def test_an_sdk_adds_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch, wire: str) -> None:
    for name in ("ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.setenv(name, "x-gateway-key: of-others")
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_AUTH_TOKEN", "AZURE_OPENAI_AD_TOKEN"):
        monkeypatch.setenv(name, "of-others")
    async with hosted(WIRES[wire]) as model:
        await model.ask()
    assert "of-others" not in str(model.provider.asked.headers)


@pytest.mark.parametrize("api_type", ["bedrock", "vertex", "anthropic_vertex"])
@pytest.mark.parametrize("url", ["https://elsewhere.example", "http://a.amazonaws.com", "http://a.googleapis.com"])
def test_the_login_of_the_machine_is_for_its_provider(api_type: str, url: str) -> None:
    settings = {"region": "us-east-1", "project": "p", "location": "global"}
    with pytest.raises(SetupError, match="login of this machine is not sent to"):
        connect(Account(api_type, url, "", None, settings, connect_s=1, idle_s=1))


@pytest.mark.parametrize("settings", [{}, {"region": "no such/place"}])
async def test_an_account_that_was_announced_wrongly_is_a_failure_and_not_the_end(settings: dict[str, str]) -> None:
    described = {"m": ServedModel(name="m")}
    endpoint = Endpoint("a", "https://a.amazonaws.com", described, api_key="k:s", api_type="bedrock", settings=settings)
    providers = Providers(connect_s=1, idle_s=1)
    for _ in range(2):
        with pytest.raises(WorkerFailed, match="'bedrock'"):
            await providers.post(endpoint, "/v1/chat/completions", {}, b"{}")
    await providers.close()
