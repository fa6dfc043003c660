from collections.abc import AsyncIterator

import aiohttp
import pytest

from fastchat.arena.moderation.base import Surroundings
from fastchat.client.chat import ChatClient
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Pipe


@pytest.fixture
async def around() -> AsyncIterator[Surroundings]:
    fleet = Fleet()
    pipe = Pipe(fleet, Http1Client(connect_s=5, idle_s=5))
    async with aiohttp.ClientSession() as http:
        yield Surroundings({"GUARD_KEY": "secret-key"}, http, ChatClient(fleet, pipe))
    await pipe.close()
