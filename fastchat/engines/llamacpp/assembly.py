"""From what the server sends to what we pass on: function calls read, stops observed, logprobs beside their text."""

from dataclasses import replace

from fastchat.engines.base import Delta, FinishReason, GenerationRequest, Usage
from fastchat.engines.llamacpp.events import Piece
from fastchat.engines.text import LogprobQueue, StopStrings
from fastchat.engines.tools import CallReader


class Assembly:
    """One answer."""

    def __init__(self, request: GenerationRequest, *, thinks: bool, reads_calls: bool) -> None:
        # The server knows stop strings too, but then it melts the logprobs of held-back tokens into one.
        self._stops = StopStrings(request.sampling.stop)
        self._stop_tokens = frozenset(request.sampling.stop_token_ids)
        self._thinks = thinks
        self._calls = CallReader() if reads_calls else None
        self._logprobs = LogprobQueue()
        self._wants_logprobs = request.top_logprobs is not None
        self._wants_nothing = request.sampling.max_tokens == 0  # the server makes a token all the same
        self._usage = Usage(0, 0)
        self._has_called = False
        self._met_stop_token = False

    def add(self, piece: Piece) -> Delta | None:
        """What to pass on now; None while there is nothing to show."""
        self._usage = piece.usage or self._usage
        if self._wants_nothing:
            return None
        if piece.last_token in self._stop_tokens:
            self._met_stop_token = True
            piece = replace(piece, text=piece.text.removesuffix(piece.logprobs[-1].token), logprobs=piece.logprobs[:-1])
        if piece.reasoning and not self._thinks:
            piece = replace(piece, text=piece.reasoning + piece.text, reasoning="")
        text, calls = piece.text, piece.tool_calls
        if self._calls is not None:
            text, calls = self._calls.push(text)
        self._has_called = self._has_called or bool(calls)
        text = self._stops.push(text)
        if self._wants_logprobs:
            self._logprobs.push(piece.logprobs)
        logprobs = self._logprobs.take(text + piece.reasoning)
        return Delta(text, piece.reasoning, calls, logprobs) if text or piece.reasoning or calls else None

    @property
    def is_stopped(self) -> bool:
        """The answer has to end although the model would go on."""
        return self._met_stop or (self._calls is not None and self._calls.is_repeating)

    def finish(self, reason: FinishReason | None) -> Delta:
        """The last delta. `reason` is the server's, which does not know what was read or stopped here."""
        if self._wants_nothing:
            return Delta(finish_reason="length", usage=replace(self._usage, completion_tokens=0))
        held = self._stops.push(self._calls.flush()) if self._calls is not None else ""
        text = held + self._stops.flush()
        logprobs = self._logprobs.take(text) + self._logprobs.finish(cut=self._met_stop or self._has_called)
        if self._met_stop:
            reason = "stop"
        elif self._has_called and reason != "length":
            reason = "tool_calls"
        return Delta(text, logprobs=logprobs, finish_reason=reason or "stop", usage=self._usage)

    @property
    def _met_stop(self) -> bool:
        return self._met_stop_token or self._stops.found is not None
