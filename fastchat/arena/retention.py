"""Erases conversations that an arena's operator does not want to keep for longer."""

import asyncio
import logging
from collections.abc import Mapping

from fastchat.arena.answering import Clock
from fastchat.arena.config import ArenaConfig
from fastchat.arena.store.store import Store

log = logging.getLogger(__name__)

_DAY_S = 86400.0


async def keep_retention(store: Store, arenas: Mapping[str, ArenaConfig], *, wall: Clock, every_s: float) -> None:
    """Look again and again, until cancelled. A store that fails once is asked again the next time.

    Once a day the last copies of what was erased go, too.
    """
    compacted_at = wall()
    while True:
        try:
            await erase_old(store, arenas, now=wall())
            if wall() - compacted_at >= _DAY_S:
                compacted_at = wall()
                await store.compact()
        except Exception:
            log.exception("old conversations were not erased")
        await asyncio.sleep(every_s)


async def erase_old(store: Store, arenas: Mapping[str, ArenaConfig], *, now: float) -> int:
    """How many conversations were erased."""
    erased = 0
    for name, config in arenas.items():
        if config.retention_days is not None:
            erased += await store.erase_older(name, now - config.retention_days * _DAY_S, now)
    return erased
