"""From tokens to deltas: characters put together, stops observed, function calls read."""

from collections.abc import Iterable

from fastchat.engines.base import Delta, FinishReason, Sampling, Usage
from fastchat.engines.openvino.model import Model
from fastchat.engines.text import CharacterStream, StopStrings
from fastchat.engines.tools import CallReader, Read


class Answer:
    def __init__(self, sampling: Sampling, model: Model, *, reads_calls: bool) -> None:
        self._model = model
        self._stop_tokens = frozenset(sampling.stop_token_ids)
        self._characters = CharacterStream()
        self._stops = StopStrings(sampling.stop)
        self._calls = CallReader() if reads_calls else None
        self._has_called = False
        self._met_stop_token = False
        self._tokens = 0
        self.prompt_tokens = 0
        self.text = ""  # all that was sent

    def add(self, tokens: Iterable[int]) -> Delta | None:
        """What to pass on now; None while there is nothing to show."""
        piece = b""
        for token in tokens:
            self._tokens += 1
            if token in self._stop_tokens:
                self._met_stop_token = True
                break
            piece += self._model.text_of(token)
        text, calls = Read(self._characters.push(piece), ())
        if self._calls is not None:
            text, calls = self._calls.push(text)
            self._has_called = self._has_called or bool(calls)
        text = self._stops.push(text)
        self.text += text
        return Delta(text, tool_calls=calls) if text or calls else None

    @property
    def is_stopped(self) -> bool:
        """The answer has to end although the model would go on."""
        return self._met_stop or (self._calls is not None and self._calls.is_repeating)

    def finish(self, reason: FinishReason) -> Delta:
        """The last delta. `reason` is the library's, which does not know what was read or stopped here."""
        text = self._stops.push(self._calls.flush()) if self._calls is not None else ""
        text += self._stops.flush()
        self.text += text
        if self._met_stop:
            reason = "stop"
        elif self._has_called and reason != "length":
            reason = "tool_calls"
        return Delta(text, finish_reason=reason, usage=Usage(self.prompt_tokens, self._tokens))

    @property
    def _met_stop(self) -> bool:
        return self._met_stop_token or self._stops.found is not None
