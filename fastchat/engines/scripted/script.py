"""What a scripted engine should do: its `engine_args`, and `scripted` in the body of one request."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastchat.core.errors import (
    FastChatError,
    InvalidRequest,
    NoWorker,
    QueueFull,
    SetupError,
    WorkerFailed,
    WorkerTimeout,
)

Milliseconds: TypeAlias = float
FAILURES: dict[int, type[FastChatError]] = {
    400: InvalidRequest,
    429: QueueFull,
    500: FastChatError,
    502: WorkerFailed,
    503: NoWorker,
    504: WorkerTimeout,
}


class Script(BaseModel):
    """How one request is answered."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    reply: str | None = Field(None, description="The answer. Without it the last user message is echoed.")
    tokens: int | None = Field(None, ge=0, description="Repeat or cut the reply to exactly this many tokens.")
    first_token_ms: Milliseconds = Field(0, ge=0, description="Pause before the first token.")
    token_ms: Milliseconds = Field(0, ge=0, description="Pause before each further token.")
    prefill_us_per_token: float = Field(
        0, ge=0, description="Pause for each token of the prompt that is not in the prefix cache, in microseconds."
    )
    error: Literal[400, 429, 500, 502, 503, 504, "die"] | None = Field(
        None, description="Fail with this HTTP status, or end the whole process at once."
    )
    error_at_token: int = Field(0, ge=0, description="How many tokens are sent before `error` happens.")

    def changed_by(self, extra: Mapping[str, Any]) -> "Script":
        """This script with the changes one request asks for in its field `scripted`."""
        changes = extra.get("scripted")
        if changes is None:
            return self
        if not isinstance(changes, Mapping):
            raise InvalidRequest("'scripted' must be an object.", param="scripted")
        try:
            return type(self).model_validate(self.model_dump(include=self.model_fields_set) | dict(changes))
        except ValidationError as error:
            raise InvalidRequest(f"'scripted': {_complaint(error)}", param="scripted") from None


class ScriptedArgs(Script):
    """The `engine_args`: a script for every request, and the size of what the engine pretends to have."""

    embedding_size: int = Field(64, ge=2, le=65536, description="Numbers in an embedding.")
    prefix_cache_tokens: int = Field(65536, ge=0, description="Tokens of past prompts that the prefix cache holds.")


def parse_args(engine_args: Mapping[str, Any]) -> ScriptedArgs:
    """
    Raises:
        SetupError: a key is unknown or its value impossible.
    """
    try:
        return ScriptedArgs.model_validate(dict(engine_args))
    except ValidationError as error:
        raise SetupError(f"engine_args of the engine 'scripted': {_complaint(error)}") from None


def failure(status: int) -> FastChatError:
    """The error that a script asked for."""
    return FAILURES[status](f"The script asked for status {status}.", retry_after_s=1 if status == 429 else None)


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return f"there is no {name!r}. Allowed: {', '.join(sorted(ScriptedArgs.model_fields))}."
    return f"{name}: {first['msg']}."
