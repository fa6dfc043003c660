"""Servers that a person names by their address: any that answers OpenAI's API, ours or not."""

import aiohttp

from fastchat.client.endpoints import Endpoint
from fastchat.core.errors import SetupError
from fastchat.protocol.control import ServedModel

_SHORT = aiohttp.ClientTimeout(total=10)


async def ask_server(session: aiohttp.ClientSession, address: str, api_key: str | None = None) -> Endpoint:
    """The server at an address, written with or without `/v1`, with the models it lists.

    Raises:
        SetupError: it does not answer, refuses the key, or lists nothing.
    """
    url = address.rstrip("/").removesuffix("/v1")
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        async with session.get(f"{url}/v1/models", headers=headers, timeout=_SHORT) as reply:
            if reply.status in (401, 403):
                raise SetupError(f"{url} wants another API key. Give it with --api-key or FASTCHAT_API_KEY.")
            reply.raise_for_status()
            cards = (await reply.json(content_type=None))["data"]
            models = [ServedModel(name=card["id"], context_length=card.get("max_model_len")) for card in cards]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise SetupError(f"{url} does not answer ({str(error) or type(error).__name__}). Is it running?") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise SetupError(f"{url}/v1/models is no list of models, so this is not an OpenAI-compatible server.") from None
    return Endpoint(url, url, {model.name: model for model in models}, capacity=64)
