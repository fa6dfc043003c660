"""Asking models outside of `fastchat bench`: with prices, a ledger and a cache, and again where a server is busy."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fastchat.llm_judge.asking import Ask
    from fastchat.llm_judge.budget import Budget
    from fastchat.llm_judge.settings import Reach, ReachSettings


class PaidCalls(NamedTuple):
    ask: "Ask"
    budget: "Budget"


@contextmanager
def paid_calls(settings: "ReachSettings", reach: "Reach", folder: Path) -> Iterator[PaidCalls]:
    """`folder` holds `costs.jsonl` and, if no other place was named for it, the cache.

    Raises:
        SetupError: a file cannot be read or written to.
    """
    from fastchat.llm_judge.budget import Budget
    from fastchat.llm_judge.cache import Cache, cached
    from fastchat.llm_judge.prices import PriceList
    from fastchat.llm_judge.running import closing, retrying

    budget = Budget(PriceList.read(settings.prices), folder, settings.budget, free=reach.free)
    with ExitStack() as opened:
        ask = opened.enter_context(budget.ledger())(retrying(closing(reach.ask)))
        if settings.caching:
            ask = cached(ask, opened.enter_context(Cache(settings.cache or folder / ".cache")))
        yield PaidCalls(ask, budget)
