"""A circuit breaker: an endpoint that failed is left alone for a while, then tried by one request at a time."""

from collections.abc import Callable
from enum import StrEnum

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class State(StrEnum):
    CLOSED = "closed"  # healthy
    OPEN = "open"  # set aside
    HALF_OPEN = "half_open"  # the pause is over: the next request is a probe


class Breaker:
    """Pauses double with every failure in a row and are forgotten with the first success."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._is_probed = False
        self.retry_at = 0.0

    @property
    def state(self) -> State:
        if not self._failures:
            return State.CLOSED
        if self._clock() < self.retry_at or self._is_probed:
            return State.OPEN
        return State.HALF_OPEN

    def start(self) -> bool:
        """A request goes out. True if it is the probe; then no other follows until it has told how it went."""
        is_probe = self.state is State.HALF_OPEN
        self._is_probed = self._is_probed or is_probe
        return is_probe

    def succeeded(self) -> None:
        self._failures = 0
        self._is_probed = False

    def failed(self) -> None:
        if self.state is State.OPEN and not self._is_probed:
            return  # one of many that were under way when it failed: the same outage, not another
        pause = min(FIRST_PAUSE_S * 2**self._failures, LONGEST_PAUSE_S)
        self._failures = min(self._failures + 1, 32)
        self.retry_at = self._clock() + pause
        self._is_probed = False

    def abandoned(self) -> None:
        """The probe ended without telling anything about the endpoint."""
        self._is_probed = False
