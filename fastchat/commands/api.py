"""`fastchat api`, as before `python3 -m fastchat.serve.openai_api_server`."""

from collections.abc import Sequence
from pathlib import Path

from pydantic_settings import SettingsConfigDict

from fastchat.access.addresses import FORWARDED_FOR, TrustedProxies
from fastchat.access.keys import KeyRing
from fastchat.client.endpoint_file import load_endpoints
from fastchat.core.errors import SetupError
from fastchat.core.serving import ServerSettings, run
from fastchat.core.settings import Items, OptionalItems, setting
from fastchat.gateway.app import Cors
from fastchat.gateway.process import GatewayOptions, run_gateway
from fastchat.protocol.control import TOKEN_ENV


class ApiSettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_API_")

    port: int = setting(8000, "port to listen on; 0 takes a free one")
    controller_address: str = setting(
        "http://localhost:21001", "controller that knows the workers; empty for none", "--controller", metavar="URL"
    )
    register_api_endpoint_file: Path | None = setting(
        None, "JSON file of models that others serve", "--register", metavar="FILE"
    )
    token: str | None = setting(None, "the controller's secret; better set by environment", env=TOKEN_ENV)
    api_keys: OptionalItems = setting(
        None, "keys callers must show one of; better set by environment", env="FASTCHAT_API_KEYS"
    )
    api_keys_file: str | None = setting(None, "file of hashed keys, made by `fastchat keys new`", metavar="FILE")
    allow_credentials: bool = setting(False, "let browsers send cookies to the API from other origins")
    allowed_origins: Items = setting((), "origins whose web pages may call the API, as a JSON list or A,B")
    allowed_methods: Items = setting(("*",), "methods they may use")
    allowed_headers: Items = setting(("*",), "headers they may send")
    web_url: str | None = setting(None, "web page to show at /", metavar="URL")
    trusted_proxies: Items = setting(
        (), "whose word on a client's address the page gets: networks, addresses, 'loopback' or 'private', by comma"
    )
    address_header: str = setting(
        FORWARDED_FOR, "header in which they give it: x-forwarded-for, forwarded, or one of a single address"
    )
    metrics_from: Items = setting(
        (), "networks that may read /metrics besides this machine, where there is a page whose battles they could tell"
    )
    max_body_mb: float = setting(32.0, "largest request body", metavar="MB")
    worker_api_timeout: float = setting(
        600.0,
        "seconds without a byte from a worker; an answer that is not streamed is one byte in this respect",
        env="FASTCHAT_WORKER_API_TIMEOUT",
        metavar="S",
    )
    drain_s: float = setting(30.0, "seconds that running answers get to finish after SIGTERM")


def main(argv: Sequence[str] | None = None) -> None:
    settings = ApiSettings.from_argv(argv, prog="fastchat api", description="Serve the OpenAI API over all workers.")
    if settings.api_keys == ():
        raise SetupError("--api-keys (or FASTCHAT_API_KEYS) is given but names no key. Without it everybody may call.")
    ring = KeyRing.load(settings.api_keys or (), settings.api_keys_file)
    listener = settings.listener()
    file = settings.register_api_endpoint_file
    options = GatewayOptions(
        controller_url=settings.controller_address,
        token=settings.token,
        web_url=settings.web_url,
        body_limit=round(settings.max_body_mb * 2**20),
        idle_s=settings.worker_api_timeout,
        drain_s=settings.drain_s,
        endpoints=load_endpoints(file) if file else (),
        metrics_from=settings.metrics_from,
        proxies=TrustedProxies.parse(settings.trusted_proxies, address_header=settings.address_header),
    )
    run(run_gateway(options, listener, ring, _cors(settings)))


def _cors(settings: ApiSettings) -> Cors | None:
    if not settings.allowed_origins:
        return None
    return Cors(
        settings.allowed_origins,
        settings.allowed_methods,
        settings.allowed_headers,
        with_credentials=settings.allow_credentials,
    )
