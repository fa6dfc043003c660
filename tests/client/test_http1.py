import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from fastchat.client.http1 import BUFFER_LIMIT, KEEP_S, Http1Client
from fastchat.core.errors import NoWorker, WorkerFailed, WorkerTimeout
from tests.clocks import Clock

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers every request with set bytes, and notes what it was asked and over how many connections."""

    def __init__(self, *answers: bytes, then_close: bool = False) -> None:
        self.answers = list(answers)
        self.then_close = then_close
        self.requests: list[bytes] = []
        self.connections = 0
        self.lost = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                for piece in answer.split(b"|"):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.then_close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.lost.set()
            writer.close()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        await transports_closed()


async def transports_closed() -> None:
    """A transport tells that it is closed in the loop's next turn; a loop that ends before complains."""
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
async def client() -> AsyncIterator[Http1Client]:
    client = Http1Client(connect_s=2, idle_s=5)
    yield client
    client.close()
    await transports_closed()


async def ask(client: Http1Client, server: Server, body: bytes = b"{}") -> tuple[int, bytes]:
    connection = await client.post(server.url, "/v1/x", {"content-type": "application/json"}, body)
    try:
        return connection.status, await connection.read()
    finally:
        client.release(server.url, connection)


def whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\nX-Name: Value\r\n\r\n%b" % (status, len(body), body)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n|6\r\n wor|ld\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (whole(b"hello"), (200, b"hello")),
        (whole(b""), (200, b"")),
        (whole(b"no", b"404 Not Found"), (404, b"no")),
        (CHUNKED, (200, b"hello world")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b"after"), (200, b"after")),
        (b"HTTP/1.1 2|00 OK\r\nContent-Le|ngth: 2\r\n|\r\nh|i", (200, b"hi")),
    ],
)
async def test_answers_of_every_kind_are_read(client: Http1Client, answer: bytes, expected: tuple[int, bytes]) -> None:
    async with serving(Server(answer)) as server:
        assert await ask(client, server) == expected


async def test_an_answer_may_end_with_its_connection(client: Http1Client) -> None:
    async with serving(Server(b"HTTP/1.1 200 OK\r\n\r\nto |the end", then_close=True)) as server:
        assert await ask(client, server) == (200, b"to the end")


async def test_the_request_is_whole_and_names_the_host(client: Http1Client) -> None:
    async with serving(Server(whole(b""))) as server:
        await ask(client, server, b'{"a": 1}')
        base = server.url
        server.url = f"{base}/prefix"
        await ask(client, server)
    first, second = server.requests
    assert first.startswith(b"POST /v1/x HTTP/1.1\r\nhost: " + base.removeprefix("http://").encode())
    assert first.endswith(b'\r\n\r\n{"a": 1}')
    assert second.startswith(b"POST /prefix/v1/x HTTP/1.1\r\n")


async def test_a_connection_read_to_its_end_is_used_again(client: Http1Client) -> None:
    async with serving(Server(whole(b"a"), CHUNKED, whole(b"c"))) as server:
        assert [(await ask(client, server))[1] for _ in range(3)] == [b"a", b"hello world", b"c"]
        assert server.connections == 1


async def test_a_connection_not_read_to_its_end_is_closed(client: Http1Client) -> None:
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    async with serving(Server(endless)) as server:
        connection = await client.post(server.url, "/", {}, b"")
        assert await connection.read_some() == b"hello"
        client.release(server.url, connection)
        await asyncio.wait_for(server.lost.wait(), 5)


async def test_a_connection_the_server_wants_closed_is_not_kept(client: Http1Client) -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"
    async with serving(Server(closing)) as server:
        await ask(client, server)
        await ask(client, server)
        assert server.connections == 2


async def test_a_kept_connection_that_was_closed_meanwhile_costs_nothing(client: Http1Client) -> None:
    async with serving(Server(whole(b"a"), then_close=True)) as server:
        for _ in range(3):
            assert await ask(client, server) == (200, b"a")
        assert server.connections == 3


async def test_a_request_is_repeated_at_most_once_however_many_connections_are_kept(client: Http1Client) -> None:
    async with serving(Server(whole(b"a"))) as server:
        connections = [await client.post(server.url, "/", {}, b"") for _ in range(10)]
        for connection in connections:
            await connection.read()
            client.release(server.url, connection)
        server.requests.clear()
        server.answers, server.then_close = [b""], True
        with pytest.raises(WorkerFailed):
            await ask(client, server)
        assert len(server.requests) == 2


async def test_a_second_answer_to_one_request_is_nobodys(client: Http1Client) -> None:
    async with serving(Server(whole(b"ok") + whole(b"other", b"403 Forbidden"))) as server:
        assert await ask(client, server) == (200, b"ok")
        assert await ask(client, server) == (200, b"ok")
        assert server.connections == 2


async def test_an_old_connection_is_not_trusted() -> None:
    clock = Clock()
    client = Http1Client(connect_s=2, idle_s=5, clock=clock)
    async with serving(Server(whole(b"a"))) as server:
        await ask(client, server)
        clock.advance(KEEP_S + 1)
        await ask(client, server)
        assert server.connections == 2
        client.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_an_answer_that_breaks_off_is_an_error(client: Http1Client, answer: bytes) -> None:
    async with serving(Server(answer, then_close=True)) as server:
        with pytest.raises(WorkerFailed):
            await ask(client, server)


async def test_nobody_listening_is_an_error(client: Http1Client) -> None:
    async with serving(Server(b"")) as server:
        pass
    with pytest.raises(NoWorker, match="accepts"):
        await ask(client, server)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"])
async def test_silence_is_a_timeout(answer: bytes) -> None:
    client = Http1Client(connect_s=2, idle_s=0.05)
    async with serving(Server(answer)) as server:
        with pytest.raises(WorkerTimeout):
            await ask(client, server)
        await asyncio.wait_for(server.lost.wait(), 5)
        client.close()


async def test_giving_up_closes_the_connection(client: Http1Client) -> None:
    async with serving(Server(b"")) as server:
        asking = asyncio.create_task(ask(client, server))
        while not server.requests:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait_for(server.lost.wait(), 5)


async def test_a_slow_reader_does_not_fill_the_memory(client: Http1Client) -> None:
    size = 20 * BUFFER_LIMIT
    async with serving(Server(whole(b"x" * size))) as server:
        connection = await client.post(server.url, "/", {}, b"")
        while not connection._is_paused:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert connection._buffered < 4 * BUFFER_LIMIT
        assert len(await connection.read()) == size
        client.release(server.url, connection)
