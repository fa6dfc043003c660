"""What a caller knows of one address that answers for models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastchat.client.breaker import Breaker
from fastchat.protocol.control import ServedModel, WorkerEntry

HOSTED = "hosted"  # the engine of models that others run


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address, as somebody described it."""

    endpoint_id: str
    url: str  # without `api_path`
    models: Mapping[str, ServedModel]
    capacity: int = 1  # requests it works on at the same time
    reported_load: int = 0  # requests it has, from all callers
    is_draining: bool = False
    api_key: str | None = field(default=None, repr=False)
    api_type: str = "openai"  # what is spoken there: OpenAI's API, or something `client/providers` translates to
    api_path: str = "/v1"  # where OpenAI's routes are; some providers have them elsewhere
    settings: Mapping[str, str] = field(default_factory=dict)  # what that protocol needs besides: a region, a project

    @classmethod
    def from_entry(cls, entry: WorkerEntry) -> "Endpoint":
        return cls(
            endpoint_id=entry.worker_id,
            url=entry.url.rstrip("/"),
            models={model.name: model for model in entry.models},
            capacity=entry.capacity,
            reported_load=entry.load.running + entry.load.waiting,
            is_draining=entry.is_draining,
            api_key=entry.api_key,
            api_type=entry.api_type,
            api_path=entry.api_path,
            settings=entry.settings,
        )

    @property
    def is_public(self) -> bool:
        """A service somewhere, which knows of us only what an API request says."""
        is_hosted = any(model.engine == HOSTED for model in self.models.values())
        return is_hosted and self.url.startswith("https://")


class TrackedEndpoint:
    """An endpoint and what this process has seen of it."""

    def __init__(self, endpoint: Endpoint, clock: Callable[[], float]) -> None:
        self.endpoint = endpoint
        self.breaker = Breaker(clock)
        self.in_flight = 0  # requests of this process
        self._others = max(0, endpoint.reported_load)

    def refresh(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        # The report counts our own requests too; those we know better ourselves.
        self._others = max(0, endpoint.reported_load - self.in_flight)

    @property
    def load(self) -> int:
        """Requests it has, ours by our own count and other callers' by its last report."""
        return self.in_flight + self._others

    @property
    def utilisation(self) -> float:
        """Load as a share of what it works on at once; above 1 requests wait."""
        return self.load / self.endpoint.capacity
