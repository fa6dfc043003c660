"""Who serves what: pure state, the clock passed in."""

import secrets
from collections.abc import Callable

from fastchat.protocol.control import (
    ANNOUNCE_EVERY_S,
    SETTLE_S,
    TTL_S,
    Announcement,
    Lease,
    PolicyName,
    Snapshot,
    WorkerEntry,
)


class WorkerRegistry:
    """Workers that announced themselves within the last `ttl_s` seconds.

    `version` changes whenever who serves what changes; it starts from a random epoch, so that a caller of the
    controller's last life is not told that nothing happened.
    """

    def __init__(self, policy: PolicyName, clock: Callable[[], float], ttl_s: float = TTL_S) -> None:
        self._policy: PolicyName = policy
        self._clock = clock
        self._ttl_s = ttl_s
        self._settles_at = clock() + SETTLE_S
        self._is_settled = False
        self._epoch = secrets.token_hex(4)
        self._changes = 0
        self._workers: dict[str, WorkerEntry] = {}
        self._seen_at: dict[str, float] = {}
        self._models_ever: set[str] = set()

    @property
    def version(self) -> str:
        return f"{self._epoch}:{self._changes}"

    def announce(self, worker_id: str, announcement: Announcement) -> Lease:
        entry = WorkerEntry(worker_id=worker_id, **dict(announcement))
        known = self._workers.get(worker_id)
        if known is None or _roster(known) != _roster(entry):
            self._changes += 1
        self._workers[worker_id] = entry
        self._seen_at[worker_id] = self._clock()
        self._models_ever.update(model.name for model in entry.models)
        return Lease(ttl_s=self._ttl_s, announce_every_s=min(ANNOUNCE_EVERY_S, self._ttl_s / 3))

    def sign_off(self, worker_id: str) -> None:
        if self._workers.pop(worker_id, None) is not None:
            del self._seen_at[worker_id]
            self._changes += 1

    def expire(self) -> list[str]:
        """Forget the silent; returns their ids. Also notices that the time to settle has passed."""
        deadline = self._clock() - self._ttl_s
        silent = [worker_id for worker_id, seen_at in self._seen_at.items() if seen_at < deadline]
        for worker_id in silent:
            self.sign_off(worker_id)
        if not self._is_settled and self._clock() >= self._settles_at:
            self._is_settled = True
            self._changes += 1
        return silent

    def snapshot(self) -> Snapshot:
        alive = {model.name for worker in self._workers.values() for model in worker.models}
        return Snapshot(
            version=self.version,
            is_settled=self._is_settled,
            policy=self._policy,
            workers=tuple(self._workers.values()),
            departed_models=tuple(sorted(self._models_ever - alive)),
        )


def _roster(entry: WorkerEntry) -> WorkerEntry:
    """What callers must know at once; the load may wait for their next look."""
    return entry.model_copy(update={"load": None})
