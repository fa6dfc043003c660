"""Which two models meet. Every draw says how likely its pair was, so that rankings can be corrected for it.

- `weighted`: FastChat's rule (see `pool`).
- `active`: the pair whose vote teaches most, after the Chatbot Arena paper (arXiv 2403.04132, equation 9): chances are
  proportional to what one more vote takes from the pair's standard error, times the pair's weighted chance. 15 draws
  in 100 are weighted, so that no pair's chance vanishes.

Generators of random numbers, settings and votes are handed in.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from fastchat.arena.pool import Contender, Pool, make_pool
from fastchat.arena.tally import Pair, Tally
from fastchat.core.errors import NotEnoughModels, SetupError, UnknownModel

__all__ = ["POLICIES", "Contender", "Draw", "Matchmaker", "Pair", "Policy", "Pool", "Tally"]

# The chances of a pool's pairs, in its order; they sum to 1.
Policy: TypeAlias = Callable[[Pool, Tally], Sequence[float]]

EXPLORATION = 0.15


class Draw(NamedTuple):
    left: str
    right: str
    probability: float  # of this unordered pair; its sides are a fair coin besides
    policy: str


def weighted(pool: Pool, tally: Tally) -> Sequence[float]:
    return pool.chances


def active(pool: Pool, tally: Tally) -> Sequence[float]:
    gains = [chance * gain for chance, gain in zip(pool.chances, tally.gains(pool.pairs), strict=True)]
    share = (1 - EXPLORATION) / sum(gains)
    return [EXPLORATION * chance + share * gain for chance, gain in zip(pool.chances, gains, strict=True)]


POLICIES: Mapping[str, Policy] = {"weighted": weighted, "active": active}


class Matchmaker:
    """Draws pairs by one policy. It remembers pools it has seen, and nothing about who was drawn."""

    def __init__(self, rng: random.Random, policy: str = "weighted", policies: Mapping[str, Policy] = POLICIES) -> None:
        if policy not in policies:
            raise SetupError(f"There is no matchmaking policy {policy!r}. There are: {', '.join(policies)}.")
        self._rng = rng
        self._name = policy
        self._policy = policies[policy]
        self._pool_of = lru_cache(maxsize=32)(make_pool)

    def draw(
        self,
        contenders: Sequence[Contender],
        tally: Tally,
        *,
        among: Collection[str] | None = None,
        required: str | None = None,
    ) -> Draw:
        """Two of the models; `among` leaves out all others, `required` is the name of one that must be there.

        Raises:
            NotEnoughModels: no two models can meet.
            UnknownModel: the required model is none of them.
        """
        odds = self._odds(contenders, tally, among, required)
        number = self._rng.choices(range(len(odds.pairs)), cum_weights=list(accumulate(odds.chances)))[0]
        left, right = odds.pairs[number] if self._rng.random() < 0.5 else odds.pairs[number][::-1]
        return Draw(left, right, odds.chances[number], self._name)

    def pair_probabilities(
        self,
        contenders: Sequence[Contender],
        tally: Tally,
        *,
        among: Collection[str] | None = None,
        required: str | None = None,
    ) -> Mapping[Pair, float]:
        """How likely `draw` is to return each pair; pairs that cannot be drawn are left out."""
        odds = self._odds(contenders, tally, among, required)
        return dict(zip(odds.pairs, odds.chances, strict=True))

    def _odds(
        self, contenders: Sequence[Contender], tally: Tally, among: Collection[str] | None, required: str | None
    ) -> Pool:
        candidates = tuple(item for item in contenders if among is None or item.name in among)
        weights = tuple(item.weight_with(tally) for item in candidates)
        pool = self._pool_of(candidates, weights)
        if not pool.pairs:
            raise NotEnoughModels(_why_nobody_meets(candidates, weights, is_restricted=among is not None))
        odds = Pool(pool.pairs, tuple(self._policy(pool, tally)))
        return odds if required is None else _with(required, odds, candidates)


def _with(required: str, odds: Pool, candidates: Sequence[Contender]) -> Pool:
    """The odds among the pairs of one model."""
    if required not in {item.name for item in candidates}:
        raise UnknownModel(required, [item.name for item in candidates if not item.is_anonymous])
    chances = {pair: chance for pair, chance in zip(odds.pairs, odds.chances, strict=True) if required in pair}
    if not chances:
        raise NotEnoughModels(f"The model {required!r} has no opponent at the moment. Choose another model.")
    total = sum(chances.values())
    return Pool(tuple(chances), tuple(chance / total for chance in chances.values()))


def _why_nobody_meets(candidates: Sequence[Contender], weights: Sequence[float], is_restricted: bool) -> str:
    of_which = "of those that can be used here, " if is_restricted else ""
    if len(candidates) < 2:
        running = f"only {_listed(candidates)} is" if candidates else "none is"
        lacking = "another; it joins" if candidates else "two; they join"
        return f"A battle needs two models; {of_which}{running} running. Start {lacking} without a restart."
    drawable = [item for item, weight in zip(candidates, weights, strict=True) if weight > 0]
    if len(drawable) < 2:
        others = [item for item in candidates if item not in drawable]
        reasons = sorted({"out of service" if item.is_out else "given the weight 0" for item in others}, reverse=True)
        who = f"all but {_listed(drawable)}" if drawable else "all of them"
        return (
            f"A battle needs two models; {of_which}{len(candidates)} are running, but {who} are "
            f"{' or '.join(reasons)}. Whoever runs this arena can change that."
        )
    return (
        f"No two of the {len(drawable)} models that can be drawn may meet: the strict targets among them forbid every "
        "pair. Whoever runs this arena can loosen them, or start a model that they name."
    )


def _listed(contenders: Sequence[Contender]) -> str:
    """Models whose name is not for the public are not named."""
    return ", ".join("one" if item.is_anonymous else item.name for item in contenders)
