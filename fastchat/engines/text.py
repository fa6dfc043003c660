"""From tokens to text one may send: whole characters only, and nothing of a stop string.

For engines that make tokens themselves. Pure bookkeeping, one object of each kind a request; no model, no I/O.
"""

import codecs
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastchat.engines.base import TokenLogprob


class CharacterStream:
    """Bytes in, whole characters out. Bytes that can never be UTF-8 become U+FFFD.

    What is still incomplete when the tokens end stays inside: half a character is never shown.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, piece: bytes) -> str:
        return self._decoder.decode(piece)


class StopStrings:
    """Holds text back while it may be the beginning of a stop string.

    The stop string that is complete first wins, and of several that end at the same character the longest; so the
    answer does not depend on how the text was cut into pieces.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.found: str | None = None
        self.rest = ""  # what came after the stop string

    def push(self, text: str) -> str:
        """The text that is safe to send. Nothing more once a stop string was found."""
        if self.found is not None:
            return ""
        if not self._stops:
            return text
        self._held += text
        if (match := self._first_complete()) is not None:
            safe, self.found, self.rest = self._held[: match.start], match.stop, self._held[match.end :]
            self._held = ""
            return safe
        kept = max(_overlap(self._held, stop) for stop in self._stops)
        safe, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        return safe

    def flush(self) -> str:
        """What was held back, once it is sure that no more text comes."""
        held, self._held = self._held, ""
        return held

    def _first_complete(self) -> "_Match | None":
        found = ((self._held.find(stop), stop) for stop in self._stops)
        return min((_Match(start + len(stop), start, stop) for start, stop in found if start >= 0), default=None)


class _Match(NamedTuple):
    """Ordered so that the smallest is the one that counts."""

    end: int
    start: int
    stop: str


class LogprobQueue:
    """Holds the logprobs of a token back until its text was sent, so that they never tell what the text must not."""

    def __init__(self) -> None:
        self._waiting: deque[TokenLogprob] = deque()
        self._visible = 0  # bytes of text sent beyond the tokens handed out

    def push(self, entries: Sequence[TokenLogprob]) -> None:
        # A token without text (an end-of-text mark) has nothing to be shown beside.
        self._waiting.extend(entry for entry in entries if entry.bytes)

    def take(self, sent: str) -> tuple[TokenLogprob, ...]:
        """The entries whose text is complete after `sent`."""
        self._visible += len(sent.encode())
        ready = []
        while self._waiting and len(self._waiting[0].bytes) <= self._visible:
            entry = self._waiting.popleft()
            self._visible -= len(entry.bytes)
            ready.append(entry)
        return tuple(ready)

    def finish(self, *, cut: bool) -> tuple[TokenLogprob, ...]:
        """The rest. Where the text was `cut` at a stop, only a token that is partly visible."""
        rest = tuple(self._waiting)
        self._waiting.clear()
        if not cut:
            return rest
        return rest[:1] if self._visible else ()


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, but not all of it."""
    start = max(0, len(text) - len(stop) + 1)
    while (start := text.find(stop[0], start)) >= 0:
        if stop.startswith(text[start:]):
            return len(text) - start
        start += 1
    return 0
