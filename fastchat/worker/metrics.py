"""What a worker counts. Names follow vLLM's where it has the same thing."""

import time
from collections.abc import AsyncGenerator, Callable
from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fastchat.engines.base import Delta
from fastchat.worker.models import HostedModels

_FIRST_TOKEN_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BETWEEN_TOKENS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class WorkerMetrics:
    def __init__(self, models: HostedModels) -> None:
        self.registry = CollectorRegistry()
        labels = ("model",)
        self._prompt = self._counter("prompt_tokens", "tokens of prompts", *labels)
        self._cached = self._counter("cached_prompt_tokens", "tokens of prompts found in the prefix cache", *labels)
        self._completion = self._counter("completion_tokens", "tokens generated", *labels)
        self._finished = self._counter("answers", "answers by the way they ended", "model", "finish_reason")
        self.errors = self._counter("errors", "requests that failed, by error code", "model", "code")
        self._first = self._histogram("time_to_first_token", _FIRST_TOKEN_S)
        self._between = self._histogram("time_between_tokens", _BETWEEN_TOKENS_S)
        running = Gauge("fastchat_requests_running", "requests being answered", labels, registry=self.registry)
        waiting = Gauge("fastchat_requests_waiting", "requests in the queue", labels, registry=self.registry)
        slots = Gauge("fastchat_slots", "answers generated at the same time at most", labels, registry=self.registry)
        for name, model in models.named.items():
            running.labels(name).set_function(partial(getattr, model.admission, "running"))
            waiting.labels(name).set_function(partial(getattr, model.admission, "waiting"))
            slots.labels(name).set(model.admission.slots)

    def _counter(self, name: str, text: str, *labels: str) -> Callable[..., Counter]:
        return cache(Counter(f"fastchat_{name}", text, labels, registry=self.registry).labels)

    def _histogram(self, name: str, buckets: tuple[float, ...]) -> Callable[[str], Histogram]:
        name = f"fastchat_{name}_seconds"
        return cache(Histogram(name, "", ("model",), buckets=buckets, registry=self.registry).labels)

    async def observed(self, model: str, deltas: AsyncGenerator[Delta, None]) -> AsyncGenerator[Delta, None]:
        """The same deltas, timed and counted on their way."""
        before, between = time.perf_counter(), None
        try:
            async for delta in deltas:
                now = time.perf_counter()
                if between is None:
                    between = self._between(model)
                    self._first(model).observe(now - before)
                else:
                    between.observe(now - before)
                before = now
                if delta.usage is not None:
                    self._prompt(model).inc(delta.usage.prompt_tokens)
                    self._cached(model).inc(delta.usage.cached_tokens)
                    self._completion(model).inc(delta.usage.completion_tokens)
                    self._finished(model, delta.finish_reason or "").inc()
                yield delta
        finally:
            await deltas.aclose()
