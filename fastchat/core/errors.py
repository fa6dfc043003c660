"""Every error that leaves one of our packages.

    FastChatError
    ├── RequestError              the caller can mend it
    │   ├── InvalidRequest          400
    │   │   ├── ContextLengthExceeded
    │   │   └── UnsupportedParameter
    │   ├── AuthenticationFailed    401
    │   ├── PermissionDenied        403
    │   ├── UnknownModel            404
    │   ├── UnknownRoute            404
    │   ├── NotFound                404
    │   ├── MethodNotAllowed        405
    │   ├── NotNow                  409
    │   │   └── AlreadyVoted
    │   ├── RequestTooLarge         413
    │   ├── QueueFull               429
    │   └── RateLimited             429
    ├── UpstreamError             the caller can only try again
    │   ├── WorkerFailed            502
    │   │   └── EndpointRefused
    │   ├── LoginProviderFailed     502
    │   ├── NoWorker                503
    │   ├── NotEnoughModels         503
    │   ├── StoreFailed             503
    │   └── WorkerTimeout           504
    └── SetupError                a person has to change a file, a flag or an installation
        └── MissingPackage

An error knows its HTTP status and the fields of OpenAI's error object; each API dresses it in its own envelope.
"""

from collections.abc import Sequence
from typing import ClassVar


class FastChatError(Exception):
    """Base of the tree. `message` is meant for the person who made the call."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    code: ClassVar[str | None] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


class RequestError(FastChatError):
    """The request cannot be answered as it stands."""

    status: ClassVar[int] = 400
    type: ClassVar[str] = "invalid_request_error"
    code: ClassVar[str | None] = None


class InvalidRequest(RequestError):
    """A field is missing, has the wrong type or an impossible value."""

    code: ClassVar[str | None] = "invalid_value"


class ContextLengthExceeded(InvalidRequest):
    """The prompt does not fit into the model's context."""

    code: ClassVar[str | None] = "context_length_exceeded"

    def __init__(self, prompt_tokens: int, context_length: int) -> None:
        super().__init__(
            f"This model's maximum context length is {context_length} tokens; the prompt has {prompt_tokens}. "
            "Shorten the messages.",
            param="messages",
        )


class UnsupportedParameter(InvalidRequest):
    """The model does not take the field `param`, or not with this value."""

    code: ClassVar[str | None] = "unsupported_parameter"


class AuthenticationFailed(RequestError):
    status: ClassVar[int] = 401
    type: ClassVar[str] = "authentication_error"
    code: ClassVar[str | None] = "invalid_api_key"


class PermissionDenied(RequestError):
    """We know who calls, or from where, and they may not."""

    status: ClassVar[int] = 403
    type: ClassVar[str] = "permission_error"
    code: ClassVar[str | None] = "permission_denied"


class UnknownModel(RequestError):
    """Nobody has ever served a model of this name."""

    status: ClassVar[int] = 404
    code: ClassVar[str | None] = "model_not_found"

    def __init__(self, model: str, known: Sequence[str]) -> None:
        shown = ", ".join(sorted(known)[:20]) or "none"
        super().__init__(f"The model {model[:200]!r} does not exist. Models served here: {shown}.", param="model")


class UnknownRoute(RequestError):
    status: ClassVar[int] = 404
    code: ClassVar[str | None] = "unknown_url"


class MethodNotAllowed(RequestError):
    status: ClassVar[int] = 405
    code: ClassVar[str | None] = "method_not_allowed"


class NotFound(RequestError):
    """There is no such thing, or it is somebody else's, which the answer does not tell apart."""

    status: ClassVar[int] = 404
    code: ClassVar[str | None] = "not_found"


class NotNow(RequestError):
    """The request is fine, but not in the state that things are in; the message says what has to come first."""

    status: ClassVar[int] = 409
    code: ClassVar[str | None] = "not_now"


class AlreadyVoted(NotNow):
    """A battle has one vote."""

    code: ClassVar[str | None] = "already_voted"

    def __init__(self, receipt: object = None) -> None:
        """`receipt` is that of the vote which counts, where it is known: who lost the answer can learn it again."""
        super().__init__("This battle has its vote. Start a new one to vote again.")
        self.receipt = receipt


class RequestTooLarge(RequestError):
    status: ClassVar[int] = 413
    code: ClassVar[str | None] = "request_too_large"


class QueueFull(RequestError):
    """All slots are busy and the queue in front of them is full."""

    status: ClassVar[int] = 429
    type: ClassVar[str] = "rate_limit_error"
    code: ClassVar[str | None] = "queue_full"


class RateLimited(RequestError):
    """Somebody calls more often than the rules allow."""

    status: ClassVar[int] = 429
    type: ClassVar[str] = "rate_limit_error"
    code: ClassVar[str | None] = "rate_limit_exceeded"


class UpstreamError(FastChatError):
    """The caller did nothing wrong; the model could not answer."""

    type: ClassVar[str] = "server_error"


class WorkerFailed(UpstreamError):
    status: ClassVar[int] = 502
    code: ClassVar[str | None] = "worker_failed"


class EndpointRefused(WorkerFailed):
    """A provider refuses our key, or has no such model: no request to it succeeds before its entry here is mended."""


class LoginProviderFailed(UpstreamError):
    """The server that signs people in does not answer, or not as it should."""

    status: ClassVar[int] = 502
    code: ClassVar[str | None] = "login_provider_failed"


class NoWorker(UpstreamError):
    """The model is known, but nothing that serves it is alive."""

    status: ClassVar[int] = 503
    code: ClassVar[str | None] = "no_worker"


class NotEnoughModels(UpstreamError):
    """A battle needs two models that may meet."""

    status: ClassVar[int] = 503
    code: ClassVar[str | None] = "not_enough_models"


class StoreFailed(UpstreamError):
    """The database did not take it, or did not answer."""

    status: ClassVar[int] = 503
    code: ClassVar[str | None] = "store_failed"


class WorkerTimeout(UpstreamError):
    status: ClassVar[int] = 504
    code: ClassVar[str | None] = "worker_timeout"


class SetupError(FastChatError):
    """Says what was given, what is allowed and what to do; commands print it without a traceback."""

    code: ClassVar[str | None] = "setup_error"


class MissingPackage(SetupError):
    """An optional package is needed; names the command that installs it."""

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        super().__init__(f'{needed_for} needs the package {package!r}. Install it with: pip install "fschat[{extra}]"')
