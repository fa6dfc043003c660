"""Several moderators as one: flagged if any of them flags, failed if any of them fails."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from fastchat.arena.moderation.base import Judgement, Moderator, Role

log = logging.getLogger(__name__)


class Combined:
    """Asks all at the same time. What a moderator raises against its contract is a failure too, with its traceback."""

    def __init__(self, moderators: Mapping[str, Moderator]) -> None:
        self._moderators = dict(moderators)

    @property
    def sees_images(self) -> bool:
        return any(moderator.sees_images for moderator in self._moderators.values())

    async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask(name, text, images, role)) for name in self._moderators]
        return merge([task.result() for task in tasks])

    async def _ask(self, name: str, text: str, images: Sequence[str], role: Role) -> Judgement:
        try:
            return await self._moderators[name].check(text, images, role=role)
        except Exception as error:  # a stranger's code: whatever it does, the message has not been judged
            log.exception("the moderator %s raised", name)
            return Judgement(name, is_failed=True, detail=f"{name} raised {type(error).__name__}")


def merge(judgements: Sequence[Judgement]) -> Judgement:
    """One judgement out of those of several moderators, or of several pieces of a message."""
    categories: dict[str, float] = {}
    for judgement in judgements:
        for name, score in judgement.categories.items():
            categories[name] = max(score, categories.get(name, 0.0))
    return Judgement(
        source=", ".join(dict.fromkeys(judgement.source for judgement in judgements)),
        is_flagged=any(judgement.is_flagged for judgement in judgements),
        categories=categories,
        is_failed=any(judgement.is_failed for judgement in judgements),
        detail="; ".join(dict.fromkeys(judgement.detail for judgement in judgements if judgement.detail)),
    )
