"""An arena with everything around it: scripted models behind a real socket, a store on the disk, a clock to set."""

import asyncio
import json
import random
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastchat.access.people import Person, Role, Visitor
from fastchat.arena.answering import Pace
from fastchat.arena.config import ArenaConfig, Integrity
from fastchat.arena.happenings import Tell, tell_nobody
from fastchat.arena.moderation.base import Moderator
from fastchat.arena.records import Mode, TextPart
from fastchat.arena.service import Arena
from fastchat.arena.store.store import Store, open_store
from fastchat.arena.transparency.heads import Signer
from fastchat.arena.views import ConversationView, DeltaEvent, StateEvent
from fastchat.client.chat import ChatClient
from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Pipe
from fastchat.protocol.control import ServedModel
from tests.clocks import Clock

ADA = Visitor("voter-ada", "address-ada", Person("ada"))
BOB = Visitor("voter-bob", "address-bob")
ADMIN = Visitor("voter-root", "address-root", Person("root", Role.ADMIN))
KEY = b"k" * 32
QUICK = Pace(flush_s=0.005, answer_s=5, grace_s=5, drain_s=5)
LEFT_NAME, RIGHT_NAME = "aurora-7b", "zephyr-x"


@dataclass
class Script:
    """What a model does with the next requests."""

    pieces: Sequence[str] = ("Hello", " there", ".")
    reasoning: str = ""
    finish: str | None = "stop"  # None: the stream just ends
    refusal: tuple[int, str, str] | None = None  # status, code, message
    held_before: int | None = None  # waits for `go_on` before this piece
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[dict[str, Any]] = field(default_factory=list)
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    was_left: asyncio.Event = field(default_factory=asyncio.Event)  # the caller hung up


class Models:
    """One server that speaks OpenAI's API for all models."""

    def __init__(self, names: Sequence[str]) -> None:
        self.scripts = {name: Script() for name in names}
        self._tasks: set[asyncio.Task[None]] = set()

    def __getitem__(self, name: str) -> Script:
        return self.scripts[name]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            script = self.scripts[body["model"]]
            script.requests.append(body)
            script.was_asked.set()
            await self._play(script, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _play(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if script.refusal:
            status, code, message = script.refusal
            error = json.dumps({"error": {"message": message, "code": code}}).encode()
            writer.write(b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n" % status)
            writer.write(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(error) + error)
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        writer.write(b": begun\n\n")
        if script.reasoning:
            self._say(writer, {"reasoning": script.reasoning})
        for number, piece in enumerate(script.pieces):
            if number == script.held_before:
                await writer.drain()
                if not await self._may_go_on(script, reader):
                    return
            self._say(writer, {"content": piece})
            await writer.drain()
        if script.finish:
            self._say(writer, {}, script.finish)
            usage = {"prompt_tokens": 7, "completion_tokens": len(script.pieces)}
            writer.write(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\ndata: [DONE]\n\n")
            await writer.drain()

    @staticmethod
    def _say(writer: asyncio.StreamWriter, delta: dict[str, str], finish: str | None = None) -> None:
        chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    @staticmethod
    async def _may_go_on(script: Script, reader: asyncio.StreamReader) -> bool:
        left, going = asyncio.ensure_future(reader.read(1)), asyncio.ensure_future(script.go_on.wait())
        try:
            await asyncio.wait([left, going], return_when=asyncio.FIRST_COMPLETED)
            if not going.done():
                script.was_left.set()
            return going.done()
        finally:
            left.cancel()
            going.cancel()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for _ in range(3):
                await asyncio.sleep(0)


@dataclass
class Stage:
    models: Models
    fleet: Fleet
    chat: ChatClient
    url: str
    wall: Clock
    folder: Path
    template: Path
    options: dict[str, Any]
    arena: Arena = field(init=False)
    store: Store = field(init=False)
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def begin(self) -> None:
        """Start the process, on whatever the last one left."""
        file = self.folder / "arena.sqlite"
        if not file.exists() and self.template.exists():
            shutil.copy(self.template, file)
        self.store = await self._open.enter_async_context(open_store(str(file), Signer.load(self.folder / "log.pem")))
        if not self.template.exists():
            await self._open.aclose()  # so that the file is whole
            shutil.copy(file, self.template)
            self.store = await self._open.enter_async_context(
                open_store(str(file), Signer.load(self.folder / "log.pem"))
            )
        arena = Arena(
            store=self.store,
            fleet=self.fleet,
            chat=self.chat,
            key=KEY,
            rng=random.Random(1),
            wall=self.wall,
            **{"pace": QUICK, **self.options},
        )
        self.arena = await self._open.enter_async_context(arena)

    async def end(self) -> None:
        await self._open.aclose()

    async def restart(self) -> None:
        await self.end()
        await self.begin()

    async def kill(self) -> None:
        """As `kill -9` would: nothing that is being answered is kept."""
        for task in list(self.arena._live._tasks):
            task.cancel()
        await self.restart()

    def serve(self, *models: ServedModel) -> None:
        """Who is in the fleet from now on."""
        endpoint = Endpoint("models", self.url, {model.name: model for model in models})
        self.fleet.update([endpoint])

    async def battle(
        self, question: str = "What is rain?", who: Visitor = ADA, arena: str = "default"
    ) -> ConversationView:
        """One that waits for its vote, read for long enough."""
        begun = await self.arena.start(who, arena, Mode.BATTLE)
        await self.arena.ask(who, begun.conversation_id, words(question))
        return await self.until_answered(begun.conversation_id, who)

    async def until_answered(self, conversation_id: str, who: Visitor = ADA) -> ConversationView:
        last = None
        async with aclosing(self.arena.follow(who, conversation_id)) as events:
            async for event in events:
                last = event
        assert isinstance(last, StateEvent)
        self.wall.advance(60)
        return last.conversation

    async def followed(self, conversation_id: str, by: int = 1) -> None:
        """Until so many follow what is being answered."""
        async with asyncio.timeout(5):
            while (live := self.arena._live.get(conversation_id)) is None or live.followers < by:
                await asyncio.sleep(0.001)

    async def events(self, conversation_id: str, who: Visitor = ADA) -> list[StateEvent | DeltaEvent]:
        async with aclosing(self.arena.follow(who, conversation_id)) as events:
            return [event async for event in events]


def words(text: str) -> list[TextPart]:
    return [TextPart(text=text)]


@asynccontextmanager
async def stage(
    folder: Path,
    template: Path,
    *,
    models: Sequence[ServedModel] = (ServedModel(name=LEFT_NAME), ServedModel(name=RIGHT_NAME)),
    arenas: Mapping[str, ArenaConfig] | None = None,
    moderators: Mapping[str, Moderator] | None = None,
    pace: Pace = QUICK,
    tell: Tell = tell_nobody,
) -> AsyncIterator[Stage]:
    arenas = arenas or {"default": ArenaConfig(integrity=Integrity(first_token_wait_s=5))}
    play = Models([model.upstream_name or model.name for model in models])
    async with play.serving() as url:
        fleet = Fleet()
        pipe = Pipe(fleet, Http1Client(connect_s=5, idle_s=5))
        options = {"arenas": arenas, "moderators": moderators, "pace": pace, "tell": tell}
        set_up = Stage(play, fleet, ChatClient(fleet, pipe), url, Clock(), folder, template, options)
        set_up.serve(*models)
        try:
            await set_up.begin()
            yield set_up
        finally:
            await set_up.end()
            await pipe.close()


Staging = Callable[..., Any]
