"""`fastchat web` as a command: its flags, its start and its end."""

import socket
import subprocess
import sys
import urllib.request

import pytest

from fastchat.core.errors import SetupError
from fastchat.web.settings import WebSettings
from tests.web.server import Server


def settings(*flags: str) -> WebSettings:
    return WebSettings.from_argv(flags, prog="fastchat web", description="")


def test_a_flag_of_old_that_cannot_be_met_gets_a_word() -> None:
    with pytest.raises(SetupError, match="database"):
        settings("--use-remote-storage")


@pytest.mark.parametrize("flag", ["--vision-arena", "--show-visualizer", "--ga-id=G-1"])
def test_a_flag_of_old_that_means_nothing_any_more_is_let_pass(flag: str, caplog: pytest.LogCaptureFixture) -> None:
    settings(flag)
    assert "has no effect" in caplog.text


def test_one_word_for_everybody_is_refused() -> None:
    with pytest.raises(SetupError, match="--gradio-auth-path"):
        settings("--password", "open-sesame")


def test_secrets_of_the_login_come_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTCHAT_WEB_OIDC_CLIENT_SECRET", "s3cret")
    assert settings().oidc_client_secret == "s3cret"


def test_whoever_hands_down_the_socket_is_believed_unless_others_are_named() -> None:
    def client(*flags: str) -> str:
        scope = {"client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", b"203.0.113.7")]}
        return str(settings(*flags).access(b"k" * 32).visitors.proxies.client(scope))

    assert client() == "127.0.0.1"
    assert client("--fd", "5") == "203.0.113.7"
    assert client("--fd", "5", "--trusted-proxies", "10.0.0.0/8") == "127.0.0.1"


@pytest.mark.parametrize("flags", [["--api-key", "sk-1"], ["--api-needs-key"]])
def test_readers_are_told_that_the_api_wants_a_key(flags: list[str]) -> None:
    assert settings(*flags).shows_key
    assert not settings().shows_key


def test_it_starts_as_fastchats_did() -> None:
    """Without a word it asks the controller of this machine; `--controller ""` leaves only the file."""
    assert (settings().api_url, settings().controller_url) == (None, "http://localhost:21001")
    alone = settings("--controller", "", "--share", "--register", "api_endpoints.json")
    assert (alone.controller_url, alone.share) == ("", True)
    assert str(alone.register_api_endpoint_file) == "api_endpoints.json"


@pytest.mark.parametrize("flag", ["--concurrency-count", "--concurrency"])
def test_flags_of_old_may_be_abbreviated(flag: str) -> None:
    assert settings(flag, "3").concurrency_count == 3


def test_readers_are_shown_the_address_they_came_by_when_the_gateway_fronts_the_page() -> None:
    assert settings().shown_api_url == "http://localhost:8000"
    assert settings("--fd", "5").shown_api_url is None
    assert settings("--fd", "5", "--public-api-url", "https://api.example").shown_api_url == "https://api.example"


def test_help_does_not_wait_for_gradio() -> None:
    program = """
import sys
from fastchat.commands.web import main
try:
    main(["--help"])
finally:
    assert not {"gradio", "sqlalchemy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("package", ["gradio", "sqlalchemy", "cryptography"])
def test_a_missing_package_is_named_with_its_remedy(package: str) -> None:
    program = f"""
import sys
sys.modules[{package!r}] = None  # how Python notes that there is none
from fastchat.__main__ import run_command
run_command("web", [])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr == (
        f'error: The web page needs the package {package!r}. Install it with: pip install "fschat[webui]"\n'
    )


def test_it_serves_on_an_inherited_socket_and_ends_when_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Server("web", "--fd", str(listener.fileno()), pass_fds=(listener.fileno(),)) as web:
            assert visit(f"http://127.0.0.1:{port}/health") == 200
    assert web.process.returncode == 0


def test_starting_calls_nobody() -> None:
    """Every name that is looked up and every address that is connected to, from the first import on."""
    with Server("web", "--api-url", "http://127.0.0.1:9", watched=True) as web:
        assert visit(web.url) == 200
    calls = [line for line in web.lines if line.startswith("CALLED")]
    assert all("127.0.0.1" in call for call in calls), calls


def visit(url: str) -> int:
    with urllib.request.urlopen(url) as reply:
        return int(reply.status)
