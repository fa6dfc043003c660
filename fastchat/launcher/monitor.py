"""How the models are doing: what their processes, the controller and the workers' own metrics say, put together."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, ConfigDict

from fastchat.core.processes import running_processes
from fastchat.launcher.hosted import ServedElsewhere
from fastchat.launcher.lineup import ModelState, ServedHere, ServedModel
from fastchat.launcher.memory import resident_bytes
from fastchat.launcher.processes import Child
from fastchat.protocol.control import Snapshot, WorkerEntry

RATE_WINDOW_S = 3.0
_SHORT = aiohttp.ClientTimeout(total=2)


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class WorkerStatus(_Report):
    name: str
    state: str
    pid: int | None
    restarts: int
    is_serving: bool
    memory_bytes: int
    last_words: str = ""  # of a life that ended badly


class ModelStatus(_Report):
    names: tuple[str, ...]
    model: str
    engine: str
    state: ModelState
    workers: tuple[WorkerStatus, ...] = ()
    running: int = 0
    waiting: int = 0
    tokens_per_s: float = 0.0

    @property
    def memory_bytes(self) -> int:
        return sum(worker.memory_bytes for worker in self.workers)


class Status(_Report):
    url: str
    log_dir: str
    models: tuple[ModelStatus, ...]


class Rate:
    """Growth of a counter over the last seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, value: float) -> None:
        now = self._clock()
        if self._samples and value < self._samples[-1][1]:  # the worker began anew
            self._samples.clear()
        self._samples.append((now, value))
        while self._samples[0][0] < now - RATE_WINDOW_S:
            self._samples.popleft()

    @property
    def per_s(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (begin, first), (end, last) = self._samples[0], self._samples[-1]
        return (last - first) / (end - begin) if end > begin else 0.0


class Monitor:
    def __init__(self, session: aiohttp.ClientSession, controller_url: str, token: str) -> None:
        self._session = session
        self._controller_url = controller_url
        self._headers = {"authorization": f"Bearer {token}"}
        self._rates: dict[str, Rate] = {}  # by worker URL

    async def look(self, models: Iterable[ServedModel]) -> tuple[ModelStatus, ...]:
        serving = {worker.url: worker for worker in await self._announced()}
        urls = {process.pid: process.url for process in running_processes()}
        self._rates = {url: rate for url, rate in self._rates.items() if url in serving}
        return tuple([await self._status(model, serving, urls) for model in models])

    async def _announced(self) -> tuple[WorkerEntry, ...]:
        text = await self._get(f"{self._controller_url}/workers")
        return Snapshot.model_validate_json(text).workers if text else ()

    async def _status(
        self, model: ServedModel, serving: Mapping[str, WorkerEntry], urls: Mapping[int, str]
    ) -> ModelStatus:
        children = model.workers if isinstance(model, ServedHere) else ()
        entries = {child.command.name: serving.get(urls.get(child.pid or 0, "")) for child in children}
        found = [entry for entry in entries.values() if entry]
        return ModelStatus(
            names=model.planned.entry.served_names,
            model=model.planned.entry.model,
            engine=model.planned.engine,
            state=_state(model, is_serving=bool(found)),
            workers=tuple(_worker_status(child, entries[child.command.name]) for child in children),
            running=sum(entry.load.running for entry in found),
            waiting=sum(entry.load.waiting for entry in found),
            tokens_per_s=sum([await self._tokens_per_s(entry.url) for entry in found]),
        )

    async def _tokens_per_s(self, url: str) -> float:
        rate = self._rates.setdefault(url, Rate())
        text = await self._get(f"{url}/metrics")
        if text is not None:
            rate.add(_deltas(text))
        return rate.per_s

    async def _get(self, url: str) -> str | None:
        """None if it does not answer: what is starting or gone has no numbers."""
        try:
            async with self._session.get(url, headers=self._headers, timeout=_SHORT) as answer:
                return await answer.text() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None


def _state(model: ServedModel, *, is_serving: bool) -> ModelState:
    if model.is_leaving:
        return "draining"
    if isinstance(model, ServedElsewhere):
        return "ready" if model.is_announced else "starting"
    if is_serving:
        return "ready"
    if all(child.state == "failed" for child in model.workers):
        return "failed"
    return "restarting" if any(child.restarts for child in model.workers) else "starting"


def _worker_status(child: Child, entry: WorkerEntry | None) -> WorkerStatus:
    return WorkerStatus(
        name=child.command.name,
        state=child.state,
        pid=child.pid,
        restarts=child.restarts,
        is_serving=entry is not None,
        memory_bytes=resident_bytes(child.pid) if child.pid else 0,
        last_words=child.last_words,
    )


def _deltas(metrics: str) -> float:
    """Tokens sent so far. Of our workers increments of text, about one a token: their token counters move only at an
    answer's end. Launched servers count as they go."""
    ours = ("fastchat_time_to_first_token_seconds_count", "fastchat_time_between_tokens_seconds_count")
    counts = (*ours, "vllm:generation_tokens_total", "sglang:generation_tokens_total")
    families = text_string_to_metric_families(metrics)
    return sum(sample.value for family in families for sample in family.samples if sample.name in counts)
