"""An engine's own settings, `engine_args`, checked by its pydantic model."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fastchat.core.errors import SetupError

Args = TypeVar("Args", bound=BaseModel)


def read_args(kind: type[Args], engine: str, engine_args: Mapping[str, Any]) -> Args:
    """
    Raises:
        SetupError: a key is unknown or its value impossible.
    """
    try:
        return kind.model_validate(dict(engine_args))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise SetupError(
            f"engine_args of the engine {engine!r}: {first['loc'][0]}: {first['msg']}. "
            f"Allowed: {', '.join(kind.model_fields)}."
        ) from None
