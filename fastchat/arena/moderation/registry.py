"""Names of moderators → what builds them: entry points of the group `fastchat.moderators`, ours like any stranger's."""

import re
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from fastchat.arena.moderation.base import Factory, Moderator, Spec, Surroundings
from fastchat.arena.moderation.combined import Combined
from fastchat.arena.moderation.nothing import Nothing
from fastchat.core.errors import SetupError

GROUP = "fastchat.moderators"
_Options = TypeVar("_Options", bound=BaseModel)


def moderator_names() -> list[str]:
    return sorted(entry_points(group=GROUP).names)


def parse(text: str) -> Spec:
    """`NAME[:ARGUMENT][,SETTING=VALUE…]`. An argument may hold commas as long as no `setting=` follows one.

    Raises:
        SetupError: a setting is given twice.
    """
    name, _, rest = text.strip().partition(":")
    pieces = re.split(r",(?=[a-z_]+=)", rest)
    argument = "" if re.match(r"[a-z_]+=", pieces[0]) else pieces.pop(0)
    pairs = [(key, value) for key, _, value in (piece.partition("=") for piece in pieces)]
    settings = dict(pairs)
    if len(settings) < len(pairs):
        raise SetupError(f"The moderator {text!r} has a setting twice.")
    return Spec(name, argument, settings)


async def load(specs: Sequence[str], around: Surroundings) -> Moderator:
    """All of them as one.

    Raises:
        SetupError: no moderator of a name, or it cannot be set up so.
    """
    built: dict[str, Moderator] = {}
    for text in specs:
        spec = parse(text)
        built[text] = await _factory(spec.name)(spec, around)
    return Combined(built) if built else Nothing()


def options(kind: type[_Options], spec: Spec, around: Surroundings, *, argument: str | None = None) -> _Options:
    """A moderator's settings, checked. `argument` names the setting that may stand behind the moderator's name."""
    given = dict(spec.settings)
    if spec.argument:
        if argument is None or argument in given:
            raise SetupError(f"The moderator {spec.name!r} does not know what to do with {spec.argument!r}.")
        given[argument] = spec.argument
    try:
        return kind.model_validate(given, context={"environ": around.environ})
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_input=False, include_url=False)
        )
        raise SetupError(
            f"The moderator {spec.name!r} cannot be set up: {wrong}. Settings: {', '.join(kind.model_fields)}."
        ) from None


def _factory(name: str) -> Factory:
    found = entry_points(group=GROUP, name=name)
    if not found:
        installed = ", ".join(moderator_names()) or "none"
        raise SetupError(f"There is no moderator {name!r}. Moderators installed here: {installed}.")
    return cast(Factory, next(iter(found)).load())  # an entry point is untyped
