"""Flags of a server become a guarded app."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from fastchat.access.cookies import VOTER
from fastchat.access.people import Person, Role
from fastchat.access.settings import AccessSettings
from fastchat.core.errors import SetupError

KEY = b"k" * 32


def settings(*flags: str) -> AccessSettings:
    return AccessSettings.from_argv(flags, prog="fastchat web", description="")


def browser(*flags: str, peer: str = "203.0.113.7") -> httpx.AsyncClient:
    access = settings(*flags).access(KEY, product="Corp arena")

    async def who(request: Request) -> Response:
        visitor = access.visitors.of(request)
        return PlainTextResponse(f"{visitor.voter_key} {visitor.person and visitor.person.name} {visitor.role}")

    app = access.around(Router([*access.sign_in.routes(), Route("/", who, methods=["GET", "POST"])]))
    transport = httpx.ASGITransport(app, client=(peer, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://chat.example", headers={"accept": "text/html"})


async def test_by_default_everybody_comes_in_and_is_known_again() -> None:
    async with browser() as reader:
        first = (await reader.get("/")).text
        assert (await reader.get("/")).text == first
        assert reader.cookies[VOTER]
        assert first.endswith(" None voter")


async def test_with_logins_only_people_come_in(tmp_path: Path) -> None:
    file = tmp_path / "logins"
    file.write_text("ada:enigma")
    async with browser("--gradio-auth-path", str(file), "--admins", "eve,ada") as reader:
        sent = await reader.get("/")
        assert sent.headers["location"] == "/login?next=/"
        page = await reader.get("/login")
        assert "Sign in to Corp arena" in page.text
        await reader.post("/login", data={"username": "ada", "password": "enigma"})
        assert (await reader.get("/")).text.endswith(" ada admin")
        assert (await reader.post("/", headers={"sec-fetch-site": "cross-site"})).status_code == 403


async def test_the_login_stands_under_the_root_path(tmp_path: Path) -> None:
    file = tmp_path / "logins"
    file.write_text("ada:enigma")
    for flags in (["--gradio-root-path", "/arena"], ["--public-url", "https://corp.example/arena/"]):
        async with browser("--gradio-auth-path", str(file), *flags) as reader:
            assert (await reader.get("/")).headers["location"] == "/arena/login?next=/"


async def test_trusted_proxies_are_asked_for_the_scheme() -> None:
    async with browser("--trusted-proxies", "loopback, 10.0.0.0/8", peer="10.1.2.3") as reader:
        reply = await reader.get("/", headers={"x-forwarded-proto": "https"})
        assert "Secure" in reply.headers["set-cookie"]


def test_an_admins_address_may_be_written_in_capitals() -> None:
    access = settings("--admins", "Ada@Corp.example").access(KEY)
    assert access.visitors.directory.by_provider(Person("ada@corp.example")).role is Role.ADMIN


def test_a_provider_needs_to_know_us() -> None:
    with pytest.raises(SetupError, match="--oidc-client-id"):
        settings("--oidc-issuer", "https://id.example").access(KEY)


def test_a_provider_is_a_way_in() -> None:
    flags = ["--oidc-issuer", "https://id.example", "--oidc-client-id", "x", "--oidc-domains", "a.example,b.example"]
    access = settings(*flags).access(KEY)
    assert access.visitors.directory.asks_for_login
    assert settings(*flags).oidc_domains == ("a.example", "b.example")


def test_nothing_of_the_extras_is_imported_before_it_is_used() -> None:
    """The gateway and the controller run without them."""
    script = """
import sys
import fastchat.access.settings, fastchat.gateway.web_proxy
print(sorted({"authlib", "fastapi", "sqlalchemy", "joserfc", "cryptography", "httpx2", "gradio"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
