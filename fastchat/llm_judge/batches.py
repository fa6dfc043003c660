"""Calls that wait are gathered and sent as one batch, which providers answer within a day for less.

Whoever asks waits as for any other reply, so the turns of an answer, or a judge's second try, make a batch each. What
was sent stands in DIR/batches: a run that was killed waits for the same batch again, and nothing is paid twice. A call
that failed in its batch is asked by itself.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from fastchat.core.errors import EndpointRefused, QueueFull, RateLimited, SetupError, UpstreamError
from fastchat.llm_judge.asking import Ask, Call, Reply
from fastchat.llm_judge.budget import most_prompt_tokens
from fastchat.llm_judge.cache import digest

log = logging.getLogger(__name__)

FOLDER = "batches"


@dataclass(frozen=True, slots=True)
class Results:
    """What came of a batch, by the ids of its calls; `reasons` of those that failed."""

    replies: Mapping[str, Reply]
    reasons: Mapping[str, str]


class BatchService(Protocol):
    """The batches of one provider, for one model."""

    address: str  # where a batch can be asked for again
    most_calls: int
    most_bytes: int

    async def send(self, calls: Mapping[str, Call]) -> str:
        """The id of the batch.

        Raises:
            FastChatError: it was not taken.
        """
        ...

    async def results(self, batch_id: str) -> Results | None:
        """None: it is not done yet.

        Raises:
            SetupError: the provider gave the batch up.
            FastChatError: it could not be asked for.
        """
        ...

    async def close(self) -> None: ...


class Sent(BaseModel):
    """A batch on its way, as it is kept in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_id: str
    address: str
    model: str
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """`gather_s` without another call: nobody is left who could add one before there are replies."""

    gather_s: float = 0.2
    poll_s: float = 30.0


Say: TypeAlias = Callable[[str], None]


@asynccontextmanager
async def batching(
    folder: Path,
    service_of: Callable[[str], BatchService | None],
    one_by_one: Ask,
    *,
    say: Say,
    pace: Pace = Pace(),
) -> AsyncIterator[Ask]:
    """A way of asking by batches. Models without a service are asked one by one, and so is what failed in a batch.

    Files of batches stay if the block ends in an error.

    Raises:
        SetupError: a file of a batch cannot be read.
    """
    batches = _Batches(folder / FOLDER, service_of, one_by_one, say, pace)
    try:
        yield batches.ask
        batches.forget_collected()
    finally:
        await batches.close()


class _Batches:
    def __init__(
        self,
        folder: Path,
        service_of: Callable[[str], BatchService | None],
        one_by_one: Ask,
        say: Say,
        pace: Pace,
    ) -> None:
        self._folder = folder
        self._service_of = service_of
        self._one_by_one = one_by_one
        self._say = say
        self._pace = pace
        self._gathered: dict[str, dict[str, Call]] = {}  # by model, then by id
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[str, asyncio.Future[Reply | None]] = {}  # None: it failed in its batch
        self._found = {call: (file, sent) for file, sent in _read(folder) for call in sent.calls}  # of an earlier run
        self._following: set[asyncio.Task[None]] = set()
        self._collected: dict[Path, Sent] = {}
        self._given: set[str] = set()  # calls whose reply somebody has

    async def ask(self, call: Call) -> Reply:
        service = self._service_of(call.model)
        if service is None:
            return await self._one_by_one(call)
        name = digest(call).hex()
        future = self._waiting.get(name) or self._begin(name, call, service)
        reply = await asyncio.shield(future)
        if self._waiting.get(name) is future:
            del self._waiting[name]
        self._given.add(name)
        return await self._one_by_one(call) if reply is None else reply

    def forget_collected(self) -> None:
        """What was asked of them stands in the results; a run with other questions may want the rest."""
        for file, sent in self._collected.items():
            if left := tuple(name for name in sent.calls if name not in self._given):
                _keep(self._folder, sent.model_copy(update={"calls": left}))
            else:
                _forget(file)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        for future in self._waiting.values():
            future.cancel()

    def _begin(self, name: str, call: Call, service: BatchService) -> "asyncio.Future[Reply | None]":
        future = self._waiting[name] = asyncio.get_running_loop().create_future()
        found = self._found.get(name)
        if found is not None and found[1].address == service.address:
            self._resume(*found, service)
        else:
            self._gather(name, call)
        return future

    def _gather(self, name: str, call: Call) -> None:
        self._gathered.setdefault(call.model, {})[name] = call
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._pace.gather_s, self._send_gathered)

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for model, calls in gathered.items():
            service = self._service_of(model)
            assert service is not None, "only calls with a service are gathered"
            for part in _parts(calls, service):
                self._follow(part, self._send(model, part, service))

    def _resume(self, file: Path, sent: Sent, service: BatchService) -> None:
        """All that the earlier run sent in it waits again; who asks for it later finds it done."""
        for name in sent.calls:
            self._found.pop(name, None)
            self._waiting.setdefault(name, asyncio.get_running_loop().create_future())
        self._say(f"Waiting again for batch {sent.batch_id} ({len(sent.calls)} calls of {sent.model}).")
        self._follow(sent.calls, self._collect(file, sent, service))

    def _follow(self, names: Iterable[str], work: Coroutine[Any, Any, None]) -> None:
        async def follow() -> None:
            try:
                await work
            except Exception as error:  # whoever waits has to learn of it, whatever it is
                for name in names:
                    self._end(name, error)

        task = asyncio.create_task(follow())
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _send(self, model: str, calls: Mapping[str, Call], service: BatchService) -> None:
        sent = Sent(batch_id=await service.send(calls), address=service.address, model=model, calls=tuple(calls))
        file = _keep(self._folder, sent)
        self._say(f"Sent batch {sent.batch_id} ({len(calls)} calls of {model}); it may take up to a day.")
        await self._collect(file, sent, service)

    async def _collect(self, file: Path, sent: Sent, service: BatchService) -> None:
        try:
            results = await self._done(sent, service)
        except SetupError:
            _forget(file)  # there is nothing to wait for
            raise
        except EndpointRefused as error:
            raise EndpointRefused(f"{error.message} Without {file} its calls are sent anew.") from None
        self._collected[file] = sent
        if lost := sum(name not in results.replies for name in sent.calls):
            reason = next(iter(results.reasons.values()), "the provider gave no reply")
            self._say(f"{lost} calls of batch {sent.batch_id} failed and are asked one by one: {reason}")
        for name in sent.calls:
            self._end(name, results.replies.get(name))

    async def _done(self, sent: Sent, service: BatchService) -> Results:
        while True:
            results = await self._look(sent, service)
            if results is not None:
                return results
            await asyncio.sleep(self._pace.poll_s)

    async def _look(self, sent: Sent, service: BatchService) -> Results | None:
        """A provider that cannot be reached for a while does no harm to what it works on."""
        try:
            return await service.results(sent.batch_id)
        except EndpointRefused:
            raise
        except (UpstreamError, QueueFull, RateLimited) as error:
            log.warning("batch %s: %s", sent.batch_id, error.message)
            return None

    def _end(self, name: str, outcome: Reply | Exception | None) -> None:
        future = self._waiting.get(name)
        if future is None or future.done():
            return  # it was in two batches
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
            future.exception()  # perhaps nobody waits any more
            del self._waiting[name]  # the next one who asks tries anew
        else:
            future.set_result(outcome)


def _parts(calls: Mapping[str, Call], service: BatchService) -> Iterator[dict[str, Call]]:
    part: dict[str, Call] = {}
    size = 0
    for name, call in calls.items():
        own = most_prompt_tokens(call) + 1024  # a byte a token, and what is around the messages
        if part and (len(part) == service.most_calls or size + own > service.most_bytes):
            yield part
            part, size = {}, 0
        part[name] = call
        size += own
    if part:
        yield part


def _keep(folder: Path, sent: Sent) -> Path:
    file = folder / f"{hashlib.sha256(sent.batch_id.encode()).hexdigest()[:16]}.json"
    draft = file.with_suffix(".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(sent.model_dump_json(), "utf-8")
        draft.replace(file)
    except OSError as error:
        raise SetupError(
            f"{file} cannot be written ({error.strerror or error}), so nobody will know of batch {sent.batch_id}. "
            "It was sent, and will be paid for."
        ) from None
    return file


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)


def _read(folder: Path) -> Iterator[tuple[Path, Sent]]:
    for file in sorted(folder.glob("*.json")):
        try:
            yield file, Sent.model_validate(json.loads(file.read_bytes()))
        except (OSError, ValueError, ValidationError):
            raise SetupError(f"{file} is no file of a batch. Take it away; its batch, if any, is paid for.") from None
