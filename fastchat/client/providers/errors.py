"""What providers say when they refuse, as our errors.

Their 401 is about our key, not the caller's, so it is a failure of this server. No message that could hold a key or a
part of it is passed on.
"""

from collections.abc import Mapping

from fastchat.client.transport import refused_our_key
from fastchat.core.errors import (
    EndpointRefused,
    FastChatError,
    InvalidRequest,
    NoWorker,
    QueueFull,
    RequestTooLarge,
    WorkerFailed,
    WorkerTimeout,
)

LONGEST_MESSAGE = 1000


def refusal(
    provider: str, status: int, message: str, headers: Mapping[str, str] | None = None, *, key: str | None = None
) -> FastChatError:
    """`status` as the provider gave it, `message` as it put it."""
    said = without_key(message, key)[:LONGEST_MESSAGE] or f"status {status}"
    if status in (401, 402, 403):
        return refused_our_key(provider, status)
    if status == 413:
        return RequestTooLarge(f"{provider}: {said}")
    if status in (400, 409, 422):
        return InvalidRequest(f"{provider}: {said}")
    if status == 404:
        return EndpointRefused(f"{provider} does not know what it was asked for; its entry here may be wrong: {said}")
    if status == 429:
        return QueueFull(f"{provider} allows no more requests at the moment: {said}", retry_after_s=_wait(headers, 5))
    if status in (503, 529):
        return NoWorker(f"{provider} is overloaded: {said}", retry_after_s=_wait(headers, 2))
    if status in (408, 504):
        return WorkerTimeout(f"{provider} took too long: {said}")
    return WorkerFailed(f"{provider} failed (status {status}): {said}")


def unreachable(provider: str) -> NoWorker:
    return NoWorker(f"{provider} cannot be reached at the moment.", retry_after_s=1)


def timed_out(provider: str) -> WorkerTimeout:
    return WorkerTimeout(f"{provider} did not answer in time.")


def without_key(message: str, key: str | None) -> str:
    return message.replace(key, "…") if key else message


def _wait(headers: Mapping[str, str] | None, default_s: int) -> int:
    """`Retry-After` in seconds; a date or nonsense there is as good as nothing."""
    try:
        return max(1, min(3600, round(float((headers or {}).get("retry-after", "")))))
    except (ValueError, OverflowError):
        return default_s
