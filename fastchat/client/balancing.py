"""Dispatch policies: which of the endpoints that could answer should.

- `least_loaded` (the default): the least utilised, but a conversation stays where its prefix is cached while that
  endpoint is not much busier than the idlest one. The preferred endpoint is found by rendezvous hashing (Thaler and
  Ravishankar 1998), so gateways that know nothing of each other prefer the same one, and an endpoint that leaves moves
  only its own conversations; the bound on how much busier it may be follows Mirrokni et al. 2016 (consistent hashing
  with bounded loads).
- `shortest_queue`: fewest requests, FastChat's default.
- `lottery`: at random, in proportion to capacity.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeAlias

from fastchat.client.endpoints import TrackedEndpoint
from fastchat.protocol.control import PolicyName

Policy: TypeAlias = Callable[[Sequence[TrackedEndpoint], bytes | None, random.Random], TrackedEndpoint]

# How much busier than the idlest an endpoint with a warm cache may be, as a share of its capacity.
AFFINITY_SLACK = 0.25


def least_loaded(candidates: Sequence[TrackedEndpoint], affinity: bytes | None, rng: random.Random) -> TrackedEndpoint:
    if affinity is not None:
        limit = min(candidate.utilisation for candidate in candidates) + AFFINITY_SLACK
        warm = [candidate for candidate in candidates if _has_room(candidate, limit)]
        if warm:
            return max(warm, key=lambda candidate: _rendezvous(affinity, candidate.endpoint.endpoint_id))
    return _smallest(candidates, lambda candidate: candidate.utilisation, rng)


def shortest_queue(
    candidates: Sequence[TrackedEndpoint], affinity: bytes | None, rng: random.Random
) -> TrackedEndpoint:
    return _smallest(candidates, lambda candidate: candidate.load, rng)


def lottery(candidates: Sequence[TrackedEndpoint], affinity: bytes | None, rng: random.Random) -> TrackedEndpoint:
    return rng.choices(candidates, weights=[candidate.endpoint.capacity for candidate in candidates])[0]


POLICIES: Mapping[PolicyName, Policy] = {
    "least_loaded": least_loaded,
    "shortest_queue": shortest_queue,
    "lottery": lottery,
}


def _has_room(candidate: TrackedEndpoint, limit: float) -> bool:
    return candidate.load < candidate.endpoint.capacity and candidate.utilisation <= limit


def _rendezvous(affinity: bytes, endpoint_id: str) -> bytes:
    return blake2b(affinity + endpoint_id.encode(), digest_size=8).digest()


def _smallest(
    candidates: Sequence[TrackedEndpoint], measure: Callable[[TrackedEndpoint], float], rng: random.Random
) -> TrackedEndpoint:
    """One of the smallest by `measure`; equals are drawn from, so that callers in step do not all pick the same."""
    smallest = min(measure(candidate) for candidate in candidates)
    return rng.choice([candidate for candidate in candidates if measure(candidate) == smallest])
