"""`fastchat message`, as before `python3 -m fastchat.serve.test_message`: does this model answer?"""

import asyncio
import sys
from collections.abc import Sequence

import aiohttp
from pydantic_settings import SettingsConfigDict

from fastchat.client.chat import ChatClient, ChatParameters
from fastchat.client.discovery import Discovery
from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Pipe
from fastchat.core.errors import FastChatError, SetupError
from fastchat.core.serving import run
from fastchat.core.settings import Settings, setting
from fastchat.protocol.control import TOKEN_ENV, ServedModel
from fastchat.terminal.styles import fit_for


class MessageSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_MESSAGE_")

    controller_address: str = setting(
        "http://localhost:21001", "controller that knows the workers", "--controller", metavar="URL"
    )
    worker_address: str | None = setting(None, "ask this worker, not the controller", "--worker", metavar="URL")
    model_name: str = setting("", "model to ask")
    temperature: float = setting(0.0, "0 always takes the likeliest token", metavar="T")
    max_new_tokens: int = setting(32, "longest answer", metavar="N")
    message: str = setting("Tell me a story with more than 1000 words.", "what to say", metavar="TEXT")
    token: str | None = setting(None, "the controller's secret; better set by environment", env=TOKEN_ENV)


def main(argv: Sequence[str] | None = None) -> None:
    settings = MessageSettings.from_argv(
        argv, prog="fastchat message", description="Send one message to a model and print its answer."
    )
    if not settings.model_name:
        raise SetupError("--model-name is missing: which model shall be asked?")
    run(_ask(settings))


async def _ask(settings: MessageSettings) -> None:
    fleet = Fleet()
    async with aiohttp.ClientSession() as session:
        if settings.worker_address:
            model = ServedModel(name=settings.model_name)
            url = settings.worker_address.rstrip("/")
            fleet.update([Endpoint("given", url, {model.name: model}, api_key=settings.token)])
        else:
            await _learn(fleet, Discovery(fleet, session, settings.controller_address, settings.token))
        print(f"Models: {list(fleet.models)}")
        try:
            slot = fleet.pick(settings.model_name)
            print(f"worker_addr: {slot.endpoint.url}")
            print(f"user: {settings.message}")
            await _print_answer(settings, ChatClient(fleet, Pipe(fleet, Http1Client(connect_s=5, idle_s=600))))
        except FastChatError as error:
            raise SetupError(error.message) from None


async def _learn(fleet: Fleet, discovery: Discovery) -> None:
    """One look is enough; a controller that has just started gets the time to hear from its workers."""
    try:
        async with asyncio.timeout(5):
            while not fleet.is_informed:
                discovery.apply(await discovery.fetch())
    except (aiohttp.ClientError, TimeoutError) as error:
        raise SetupError(
            f"The controller did not answer: {str(error) or type(error).__name__}. Is it running?"
        ) from None


async def _print_answer(settings: MessageSettings, client: ChatClient) -> None:
    messages = [{"role": "user", "content": settings.message}]
    parameters = ChatParameters(temperature=settings.temperature, max_tokens=settings.max_new_tokens)
    print("assistant: ", end="")
    async for delta in client.stream(settings.model_name, messages, parameters):
        print(fit_for(sys.stdout, delta.text), end="", flush=True)
    print()
