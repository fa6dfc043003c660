"""One answer under way: from tokens to deltas."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastchat.engines.base import Delta, FinishReason, GenerationRequest, TokenLogprob, Usage
from fastchat.engines.hf.vocabulary import Vocabulary
from fastchat.engines.text import CharacterStream, LogprobQueue, StopStrings
from fastchat.engines.thoughts import ThoughtReader, Told
from fastchat.engines.tools import CallReader, Read


@dataclass(frozen=True, slots=True)
class Bounds:
    """What ends an answer, whatever it says."""

    most_tokens: int
    stop_tokens: frozenset[int] = field(default_factory=frozenset)  # those of the model and those of the request


class Answer:
    def __init__(
        self,
        request: GenerationRequest,
        vocabulary: Vocabulary,
        bounds: Bounds,
        *,
        prompt_tokens: int,
        reads_calls: bool = False,
        thoughts: ThoughtReader | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._bounds = bounds
        self._prompt_tokens = prompt_tokens
        self._characters = CharacterStream()
        self._thoughts = thoughts
        self._calls = CallReader() if reads_calls else None
        self._has_called = False
        self._stops = StopStrings(request.sampling.stop)
        self._logprobs = LogprobQueue()
        self._tokens = 0
        self._reason: FinishReason | None = "length" if bounds.most_tokens == 0 else None
        self.cached_tokens = 0

    @property
    def is_over(self) -> bool:
        return self._reason is not None

    def add(self, token: int, logprob: TokenLogprob | None, *, is_complete: bool) -> Delta | None:
        """What to pass on now; None while there is nothing to show. `is_complete`: nothing may follow this token."""
        self._tokens += 1
        if token in self._bounds.stop_tokens:
            self._reason = "stop"
            return None
        if logprob is not None:
            self._logprobs.push([logprob])
        reasoning, text = Told("", self._characters.push(self._vocabulary.text_of(token)))
        if self._thoughts is not None:
            reasoning, text = self._thoughts.push(text)
        text, calls = Read(text, ())
        if self._calls is not None:
            text, calls = self._calls.push(text)
            self._has_called = self._has_called or bool(calls)
        text = self._stops.push(text)
        if self._stops.found is not None or is_complete or (self._calls is not None and self._calls.is_repeating):
            self._reason = "stop"
        elif self._tokens == self._bounds.most_tokens:
            self._reason = "length"
        logprobs = self._logprobs.take(text + reasoning)
        return Delta(text, reasoning, calls, logprobs) if text or reasoning or calls else None

    def last(self) -> Delta:
        reasoning, text = self._thoughts.flush() if self._thoughts is not None else Told("", "")
        if self._calls is not None:
            text = self._calls.push(text).text + self._calls.flush()
        text = self._stops.push(text) + self._stops.flush()
        is_cut = self._stops.found is not None or self._has_called
        logprobs = self._logprobs.take(text + reasoning) + self._logprobs.finish(cut=is_cut)
        reason = self._reason
        if self._has_called and reason == "stop" and self._stops.found is None:
            reason = "tool_calls"
        usage = Usage(self._prompt_tokens, self._tokens, self.cached_tokens)
        return Delta(text, reasoning, logprobs=logprobs, finish_reason=reason, usage=usage)


def logprob_entry(
    vocabulary: Vocabulary, token: int, logprob: float, best: Sequence[tuple[int, float]]
) -> TokenLogprob:
    """`best` are alternatives with their logprobs, the likeliest first."""
    shown = vocabulary.text_of(token)
    others = tuple(_entry(vocabulary.name_of(other), value) for other, value in best)
    return TokenLogprob(shown.decode("utf-8", "replace"), logprob, tuple(shown), others)


def _entry(name: bytes, logprob: float) -> TokenLogprob:
    return TokenLogprob(name.decode("utf-8", "replace"), logprob, tuple(name))
