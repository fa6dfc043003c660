"""The moderator `none`: it reads nothing and flags nothing."""

from collections.abc import Sequence

from fastchat.arena.moderation.base import Judgement, Role, Spec, Surroundings
from fastchat.core.errors import SetupError


class Nothing:
    sees_images = False

    async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
        return Judgement("none")


async def load(spec: Spec, around: Surroundings) -> Nothing:
    if spec.argument or spec.settings:
        raise SetupError("The moderator 'none' takes no settings.")
    return Nothing()
