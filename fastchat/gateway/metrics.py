"""What the gateway counts, and the workers' own metrics gathered under one address."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from fastchat.client.breaker import State
from fastchat.client.endpoints import TrackedEndpoint
from fastchat.client.fleet import Fleet

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_BREAKER = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class GatewayMetrics:
    """Called with its labels, each metric gives the one to count on: `metrics.retries(model).inc()`.

    Labels hold only names of models that exist, so callers cannot make them grow; looking a metric up among its
    labels is slow enough to be remembered.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "requests by route and status", "model", "route", "status")
        self.answers = self._counter("worker_answers", "answers by worker and status", "model", "worker", "status")
        self.retries = self._counter("retries", "attempts beyond the first", "model")
        self.broken = self._counter("broken_streams", "streams that ended in an error", "model")
        self.first_byte = self._histogram("time_to_first_byte", "from the whole request to the first byte back")
        self.duration = self._histogram("request", "from the whole request to the last byte back")
        in_flight = Gauge("fastchat_gateway_requests_in_flight", "requests being answered", registry=self.registry)
        in_flight.set_function(lambda: sum(item.in_flight for item in fleet.endpoints))
        self.registry.register(_Workers(fleet))

    def _counter(self, name: str, text: str, *labels: str) -> Callable[..., Counter]:
        return cache(Counter(f"fastchat_gateway_{name}", text, labels, registry=self.registry).labels)

    def _histogram(self, name: str, text: str) -> Callable[[str], Histogram]:
        name = f"fastchat_gateway_{name}_seconds"
        return cache(Histogram(name, text, ("model",), buckets=_SECONDS, registry=self.registry).labels)

    async def render(self, session: aiohttp.ClientSession) -> bytes:
        """Our metrics and those of every worker that shows some, with the label `worker` added."""
        workers = [item for item in self._fleet.endpoints if not item.endpoint.is_public]
        pages = await asyncio.gather(*(_page(session, item) for item in workers))
        gathered = CollectorRegistry()
        gathered.register(_Gathered([(endpoint, families) for endpoint, families in pages if families]))
        return generate_latest(self.registry) + generate_latest(gathered)


class _Workers(Collector):
    """Gauges read off the fleet at the moment of asking."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        load = GaugeMetricFamily("fastchat_gateway_worker_load", "requests at a worker", labels=["worker"])
        breaker = GaugeMetricFamily(
            "fastchat_gateway_worker_breaker", "0 healthy, 1 to be probed, 2 set aside", labels=["worker"]
        )
        for item in self._fleet.endpoints:
            load.add_metric([item.endpoint.endpoint_id], item.load)
            breaker.add_metric([item.endpoint.endpoint_id], _BREAKER[item.breaker.state])
        yield load
        yield breaker


class _Gathered(Collector):
    def __init__(self, pages: Sequence[tuple[str, Sequence[Metric]]]) -> None:
        self._pages = pages

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for worker, page in self._pages:
            for family in page:
                merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                merged.samples += [
                    sample._replace(labels={**sample.labels, "worker": worker}) for sample in family.samples
                ]
        return families.values()


async def _page(session: aiohttp.ClientSession, item: TrackedEndpoint) -> tuple[str, Sequence[Metric]]:
    """What the endpoint shows, if it shows anything that can be read."""
    endpoint = item.endpoint
    headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    try:
        timeout = aiohttp.ClientTimeout(total=2)
        url = f"{endpoint.url}/metrics"
        async with session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
            is_page = response.status == 200 and response.content_type == "text/plain"
            text = await response.text() if is_page else ""
        return endpoint.endpoint_id, list(text_string_to_metric_families(text))
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return endpoint.endpoint_id, ()
