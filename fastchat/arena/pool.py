"""Who may meet whom, and how likely by weight alone. It changes with the models and their settings, not with each vote.

FastChat's rule: the first model is drawn by weight, then its rival by weight, of which named targets get half. Three
things differ, each where FastChat's rule breaks: a model without any possible rival is not drawn first; targets never
get less than their weights alone would give them; and weight decides among several targets.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite

from fastchat.arena.tally import Pair, Tally, pair_of
from fastchat.core.errors import SetupError

TARGETS_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Contender:
    """A model that runs, and what its operator wants of its battles."""

    name: str
    weight: float = 1.0
    is_out: bool = False  # an outage: not drawn at the moment
    boost: float = 1.0  # factor on the weight while the model is new
    boost_until_votes: int = 0
    targets: tuple[str, ...] = ()  # opponents that get half of its battles; names or glob patterns
    is_strict: bool = False  # meets its targets only, whoever of the two is drawn first
    is_anonymous: bool = False  # drawn but not listed; two of them do not meet while there are other pairs

    def __post_init__(self) -> None:
        if not (isfinite(self.weight * self.boost) and self.weight >= 0 and self.boost >= 0):
            raise SetupError(
                f"The weight of the model {self.name!r} is {self.weight} and its boost {self.boost}. "
                "Both must be numbers from 0 on; 1 is as often as everybody, 0 is never."
            )

    def weight_with(self, tally: Tally) -> float:
        """0 if it cannot be drawn."""
        if self.is_out:
            return 0.0
        return self.weight * self.boost if tally.votes_of(self.name) < self.boost_until_votes else self.weight

    def aims_at(self, name: str) -> bool:
        # Equality first: a name may hold brackets, which a pattern reads as a set of characters.
        return any(name == target or fnmatchcase(name, target) for target in self.targets)


@dataclass(frozen=True, slots=True)
class Pool:
    """All pairs that can be drawn. Their chances sum to 1, and none is 0."""

    pairs: tuple[Pair, ...]
    chances: tuple[float, ...]


def make_pool(contenders: Sequence[Contender], weights: Sequence[float]) -> Pool:
    """Without pairs if nobody may meet. `weights` are those of the contenders, boosts and outages included."""
    largest = max(weights, default=0.0) or 1.0
    # Shares of the largest, so that sums of huge weights stay finite.
    shares = {item.name: weight / largest for item, weight in zip(contenders, weights, strict=True)}
    field = _Field([item for item in contenders if shares[item.name] > 0], shares)
    # Two models nobody has heard of tell little about the listed ones, so they are kept apart. Names are hidden either
    # way, so where nothing else is left (a team that compares its own drafts) they meet rather than leave a dead page.
    rivals = field.rivals(keep_apart=True) or field.rivals(keep_apart=False)
    total = sum(shares[first] for first in rivals)
    chances: defaultdict[Pair, float] = defaultdict(float)
    for first, others in rivals.items():
        for other, share in field.divide(first, others).items():
            chances[pair_of(first, other)] += shares[first] / total * share
    drawable = {pair: chance for pair, chance in chances.items() if chance > 0}  # tiny weights round to nothing
    return Pool(tuple(drawable), tuple(drawable.values()))


class _Field:
    """Contenders of which each can be drawn, and who is after whom."""

    def __init__(self, contenders: Sequence[Contender], weights: Mapping[str, float]) -> None:
        self._contenders = contenders
        self._weights = weights
        names = [item.name for item in contenders]
        self._targets = {item.name: {name for name in names if item.aims_at(name)} for item in contenders}

    def rivals(self, keep_apart: bool) -> dict[str, list[str]]:
        """Of each that has any; `keep_apart` keeps the anonymous from each other."""
        rivals = {
            item.name: [other.name for other in self._contenders if self._may_meet(item, other, keep_apart)]
            for item in self._contenders
        }
        return {name: others for name, others in rivals.items() if others}

    def divide(self, first: str, rivals: Sequence[str]) -> dict[str, float]:
        """How the battles of one are shared out among its rivals; sums to 1."""
        weights, targets = self._weights, self._targets[first]
        of_targets = sum(weights[name] for name in rivals if name in targets)
        of_others = sum(weights[name] for name in rivals if name not in targets)
        share = of_targets / (of_targets + of_others)
        if of_targets and of_others:
            share = max(share, TARGETS_SHARE)
        return {
            name: weights[name] / of_targets * share if name in targets else weights[name] / of_others * (1 - share)
            for name in rivals
        }

    def _may_meet(self, one: Contender, other: Contender, keep_apart: bool) -> bool:
        if one is other or (keep_apart and one.is_anonymous and other.is_anonymous):
            return False
        return self._accepts(one, other) and self._accepts(other, one)

    def _accepts(self, one: Contender, other: Contender) -> bool:
        return not one.is_strict or other.name in self._targets[one.name]
