"""All endpoints a process may call, and the choice among them. Pure state: no task, no socket, the clock passed in."""

import itertools
import random
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType

from fastchat.client.balancing import POLICIES
from fastchat.client.breaker import State
from fastchat.client.endpoints import Endpoint, TrackedEndpoint
from fastchat.core.errors import NoWorker, UnknownModel
from fastchat.protocol.control import PolicyName, ServedModel

CONTROLLER = "controller"  # the source that is meant where none is named


class Slot:
    """One request on its way to one endpoint. Leaving the block counts it out again."""

    def __init__(self, tracked: TrackedEndpoint) -> None:
        self.endpoint = tracked.endpoint
        self._tracked = tracked
        self._is_probe = False
        self._has_told = False

    def __enter__(self) -> "Slot":
        self._tracked.in_flight += 1
        self._is_probe = self._tracked.breaker.start()
        return self

    def succeeded(self) -> None:
        """The endpoint answers, which is known with the first byte."""
        self._has_told = True
        self._tracked.breaker.succeeded()

    def failed(self) -> None:
        self._has_told = True
        self._tracked.breaker.failed()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._tracked.in_flight -= 1
        if self._is_probe and not self._has_told:
            self._tracked.breaker.abandoned()


class Fleet:
    """Endpoints by id, described by one or more sources: a controller's snapshots, a fixed list."""

    def __init__(
        self,
        policy: PolicyName = "least_loaded",
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.policy: PolicyName = policy
        self.is_informed = False  # somebody has told us everybody who is there
        self._clock = clock
        self._rng = rng or random.Random()
        self._sources: dict[str, tuple[Endpoint, ...]] = {}
        self._tracked: dict[str, TrackedEndpoint] = {}
        self._by_model: dict[str, list[TrackedEndpoint]] = {}
        self._remembered: set[str] = set()  # names of models that were served at some time

    def update(
        self,
        endpoints: Iterable[Endpoint],
        departed: Iterable[str] = (),
        *,
        is_complete: bool = True,
        source: str = CONTROLLER,
    ) -> None:
        """Replace what one source says of who is there; what was learned of endpoints that stay is kept.

        `is_complete` says that a model which no source names is really not there; until once it was true, an unknown
        name may be a worker that has yet to report. Where two sources know an id, the one that spoke first is believed.
        """
        self._sources[source] = tuple(endpoints)
        tracked: dict[str, TrackedEndpoint] = {}
        for endpoint in itertools.chain.from_iterable(self._sources.values()):
            if endpoint.endpoint_id in tracked:
                continue
            known = self._tracked.get(endpoint.endpoint_id)
            if known is not None and known.endpoint.url == endpoint.url:
                known.refresh(endpoint)
                tracked[endpoint.endpoint_id] = known
            else:
                tracked[endpoint.endpoint_id] = TrackedEndpoint(endpoint, self._clock)
        self._tracked = tracked
        self._by_model = {}
        for item in tracked.values():
            for name in item.endpoint.models if not item.endpoint.is_draining else ():
                self._by_model.setdefault(name, []).append(item)
        self._remembered.update(departed, self._by_model)
        self.is_informed = self.is_informed or is_complete

    def told_by(self, source: str) -> Sequence[Endpoint]:
        """What a source said last."""
        return self._sources.get(source, ())

    @property
    def endpoints(self) -> list[TrackedEndpoint]:
        return list(self._tracked.values())

    @property
    def models(self) -> dict[str, ServedModel]:
        """Models somebody alive serves, by name, in alphabetical order."""
        return {name: self._by_model[name][0].endpoint.models[name] for name in sorted(self._by_model)}

    def has_heard_of(self, model: str) -> bool:
        return model in self._remembered

    def describe(self, model: str) -> ServedModel:
        """
        Raises:
            NoWorker, UnknownModel: as `pick`.
        """
        return self._serving(model)[0].endpoint.models[model]

    def pick(self, model: str, *, affinity: bytes | None = None, avoid: Collection[str] = ()) -> Slot:
        """The endpoint to send a request to. `avoid` holds ids that this request has tried in vain.

        Raises:
            UnknownModel: nobody has ever served it.
            NoWorker: it is known, but nobody alive serves it (or all have been tried).
        """
        candidates = [item for item in self._serving(model) if item.endpoint.endpoint_id not in avoid]
        if not candidates:
            raise NoWorker(f"No worker could answer for the model {model!r}. Try again in a moment.", retry_after_s=1)
        willing = [item for item in candidates if item.breaker.state is not State.OPEN]
        if not willing:
            # Better to try one that failed than to refuse everybody: the pause may be too careful.
            return Slot(min(candidates, key=lambda item: item.breaker.retry_at))
        probes = [item for item in willing if item.breaker.state is State.HALF_OPEN]
        if probes:
            return Slot(probes[0])
        return Slot(POLICIES[self.policy](willing, affinity, self._rng))

    def _serving(self, model: str) -> list[TrackedEndpoint]:
        found = self._by_model.get(model)
        if found:
            return found
        if not self.is_informed:
            raise NoWorker("The controller has not told yet which models there are.", retry_after_s=1)
        if model in self._remembered:
            raise NoWorker(f"The model {model!r} is known, but no worker that serves it is alive.", retry_after_s=2)
        raise UnknownModel(model, sorted(self._by_model))
