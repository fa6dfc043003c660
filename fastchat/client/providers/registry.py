"""Which translator speaks which protocol, and the accounts in use."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, cast

from fastchat.client.endpoints import Endpoint
from fastchat.client.providers.base import Account
from fastchat.client.providers.errors import without_key
from fastchat.client.providers.reply import ProviderReply
from fastchat.client.providers.translator import Translator, refused
from fastchat.client.transport import Reply
from fastchat.core.errors import InvalidRequest, MissingPackage, SetupError, WorkerFailed


class Provider(NamedTuple):
    """`factory` in `fastchat/client/providers/<module>.py` takes an Account and gives a Translator."""

    module: str
    factory: str
    package: str  # the SDK, by the name it is imported under


PROVIDERS: Mapping[str, Provider] = {
    "openai_no_stream": Provider("openai_sdk", "no_stream", "openai"),
    "openai_o1": Provider("openai_sdk", "o1", "openai"),
    "cohere": Provider("openai_sdk", "cohere", "openai"),
    "azure": Provider("openai_sdk", "azure", "openai"),
    "anthropic": Provider("anthropic", "direct", "anthropic"),
    "anthropic_vertex": Provider("anthropic", "vertex", "anthropic"),
    "gemini": Provider("gemini", "direct", "google.genai"),
    "gemini_no_stream": Provider("gemini", "no_stream", "google.genai"),
    "vertex": Provider("gemini", "vertex", "google.genai"),
    "bedrock": Provider("bedrock", "connect", "boto3"),
}


def check_installed(api_type: str) -> None:
    """
    Raises:
        MissingPackage: the SDK of this protocol is not installed.
    """
    provider = PROVIDERS.get(api_type)
    if provider is not None and not _is_installed(provider.package):
        raise MissingPackage(provider.package.replace(".", "-"), "hosted", f"Models of api_type {api_type!r}")


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ModuleNotFoundError, ValueError):  # inside a package that is missing; or marked as missing
        return False


class Providers:
    """A `Transport` through the providers' SDKs. One client for each account, made when first used."""

    def __init__(self, *, connect_s: float, idle_s: float) -> None:
        self._connect_s = connect_s
        self._idle_s = idle_s
        self._translators: dict[tuple[object, ...], asyncio.Task[Translator]] = {}

    async def post(self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes) -> ProviderReply:
        reply = await self._answer(endpoint, path, body)
        try:
            await reply.begin()
        except BaseException:
            await reply.close()
            raise
        return reply

    async def release(self, endpoint: Endpoint, reply: Reply) -> None:
        assert isinstance(reply, ProviderReply)
        await reply.close()

    async def close(self) -> None:
        while self._translators:
            _, connecting = self._translators.popitem()
            with suppress(SetupError):
                await (await connecting).close()

    async def _answer(self, endpoint: Endpoint, path: str, body: bytes) -> ProviderReply:
        try:
            return (await self._translator(endpoint)).answer(path, body)
        except InvalidRequest as error:
            return refused(error)
        except SetupError as error:  # of an endpoint that a controller told of; those of files are checked before
            raise WorkerFailed(error.message) from error

    async def _translator(self, endpoint: Endpoint) -> Translator:
        settings = tuple(sorted(endpoint.settings.items()))
        key = (endpoint.api_type, endpoint.url, endpoint.api_path, endpoint.api_key, settings)
        if key not in self._translators:
            account = Account(
                endpoint.api_type,
                endpoint.url,
                endpoint.api_path,
                endpoint.api_key,
                endpoint.settings,
                connect_s=self._connect_s,
                idle_s=self._idle_s,
            )
            # SDKs take seconds to import, in which everybody else's answers must go on.
            self._translators[key] = asyncio.create_task(asyncio.to_thread(connect, account))
        connecting = self._translators[key]
        try:
            return await asyncio.shield(connecting)  # a caller who leaves does not take it from the others
        except SetupError:
            self._translators.pop(key, None)
            raise


def connect(account: Account) -> Translator:
    """
    Raises:
        SetupError: nothing here speaks this protocol, or its SDK is missing or not content with the account.
    """
    provider = PROVIDERS.get(account.api_type)
    if provider is None:
        raise SetupError(f"Nothing here speaks {account.api_type!r}. Allowed: openai, {', '.join(sorted(PROVIDERS))}.")
    check_installed(account.api_type)
    module = import_module(f"fastchat.client.providers.{provider.module}")
    make = cast(Callable[[Account], Translator], getattr(module, provider.factory))
    try:
        return make(account)
    except SetupError:
        raise
    except Exception as error:  # what a controller told of an account may lack anything, and each SDK has its own word
        reason = without_key(f"{type(error).__name__}: {error}", account.api_key)
        raise SetupError(f"The account of {account.api_type!r} is not as its SDK wants it: {reason}") from error
