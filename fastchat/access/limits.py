"""How often somebody may do something: rules such as `30/minute, 500/day`, each counted by a key.

A rule is a bucket that holds `count` and fills evenly over its period (the generic cell rate algorithm: of each bucket
only the moment is kept at which it will be full). So a burst of `count` is fine, and after it one every
`period / count`; over a whole period at most twice `count` get through.
"""

import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastchat.core.errors import RateLimited, SetupError

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_RULE = re.compile(r"(?P<count>[1-9]\d{0,8})/(?P<many>[1-9]\d{0,3})?\s*(?P<unit>second|minute|hour|day)s?")


@dataclass(frozen=True, slots=True)
class Rule:
    count: int
    period_s: float


def parse_rules(text: str) -> tuple[Rule, ...]:
    """From `30/minute, 500/day` or `5/10 minutes`; empty text is no rule.

    Raises:
        SetupError: a part is no rule.
    """
    return tuple(_rule(part.strip()) for part in text.split(",") if part.strip())


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if not found:
        raise SetupError(f"{text!r} is no rate limit. Write COUNT/PERIOD: 30/minute, 500/day, 5/10 minutes.")
    return Rule(int(found["count"]), int(found["many"] or 1) * _UNITS[found["unit"]])


class RateLimit:
    """Several rules that all must agree, for any number of keys.

    At most `max_keys` are remembered; then the one unused for longest is forgotten, which favours it, not others.
    """

    def __init__(
        self, rules: Sequence[Rule], *, clock: Callable[[], float] = time.monotonic, max_keys: int = 50_000
    ) -> None:
        self._rules = tuple(rules)
        self._clock = clock
        self._max_keys = max_keys
        self._full_at: OrderedDict[str, tuple[float, ...]] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at)

    def wait_s(self, key: str) -> float:
        """How long until the next one is allowed; 0: it is now. Counts nothing."""
        now = self._clock()
        waits = (
            full_at + rule.period_s / rule.count - rule.period_s - now
            for rule, full_at in zip(self._rules, self._known(key, now), strict=True)
        )
        wait_s = max(waits, default=0.0)
        return wait_s if wait_s > 1e-6 else 0.0  # sums of fractions are not exact

    def count(self, key: str) -> None:
        """One more was let through."""
        if not self._rules:
            return
        now = self._clock()
        known = self._known(key, now)
        self._full_at[key] = tuple(
            full_at + rule.period_s / rule.count for rule, full_at in zip(self._rules, known, strict=True)
        )
        self._full_at.move_to_end(key)
        self._forget(now)

    def _known(self, key: str, now: float) -> tuple[float, ...]:
        known = self._full_at.get(key)
        return (now,) * len(self._rules) if known is None else tuple(max(full_at, now) for full_at in known)

    def _forget(self, now: float) -> None:
        for _ in range(2):  # more than one comes in, so memory follows use without a task of its own
            key, full_at = next(iter(self._full_at.items()))
            if len(self._full_at) <= self._max_keys and max(full_at) > now:
                return
            del self._full_at[key]


def admit(what: str, *limits: tuple[RateLimit, str]) -> None:
    """Count one against each limit under its key, or, if one of them objects, against none.

        admit("votes", (by_voter, visitor.voter_key), (by_address, visitor.address_hash))

    Raises:
        RateLimited: says when to come again.
    """
    wait_s = math.ceil(max((limit.wait_s(key) for limit, key in limits), default=0.0))
    if wait_s:
        raise RateLimited(f"Too many {what}. Try again in {_in_words(wait_s)}.", retry_after_s=wait_s)
    for limit, key in limits:
        limit.count(key)


def _in_words(seconds: int) -> str:
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{math.ceil(seconds / size)} {unit}s"
    return f"{seconds} second{'s' if seconds > 1 else ''}"
