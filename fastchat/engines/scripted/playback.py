"""An answer being played: planned as pieces, handed out as increments, at a set pace."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from fastchat.engines.base import Delta, FinishReason, GenerationRequest, TokenLogprob, ToolCallDelta, Usage
from fastchat.engines.scripted import conversation
from fastchat.engines.scripted.conversation import Call
from fastchat.engines.scripted.script import Script
from fastchat.engines.scripted.tokens import pieces_of, token_of
from fastchat.engines.text import CharacterStream, LogprobQueue, StopStrings


@dataclass(frozen=True, slots=True)
class Answer:
    """What will be said if nothing stops it."""

    pieces: tuple[bytes, ...]
    length: int  # tokens; the pieces are repeated or cut to it
    reason: FinishReason
    call: Call | None = None

    def __iter__(self) -> Iterator[bytes]:
        return islice(cycle(self.pieces), self.length)


def plan(request: GenerationRequest, script: Script, room: int) -> Answer:
    """The answer to a request that may use `room` tokens of the context."""
    call = conversation.forced_call(request.prompt)
    length = None
    if call is not None:
        text = call.arguments
    elif request.constraint is not None:
        text = conversation.constrained(request.constraint)
    else:
        text = conversation.echo(request.prompt) if script.reply is None else script.reply
        length = room + 1 if request.sampling.ignore_eos else script.tokens
    pieces = tuple(pieces_of(text)) or ((b"...",) if length else ())
    length = len(pieces) if length is None else length
    limit = room if request.sampling.max_tokens is None else min(room, request.sampling.max_tokens)
    if length > limit:
        return Answer(pieces, limit, "length", call)
    return Answer(pieces, length, "tool_calls" if call else "stop", call)


class Playback:
    """Pieces in, increments out; `is_stopped` once a stop string or a stop token came."""

    def __init__(self, request: GenerationRequest, call: Call | None) -> None:
        self._characters = CharacterStream()
        self._stops = StopStrings(request.sampling.stop if call is None else ())
        self._stop_tokens = frozenset(request.sampling.stop_token_ids)
        self._logprobs = LogprobQueue()
        self._top = request.top_logprobs
        self._call = call
        self.tokens = 0
        self.is_stopped = False

    def push(self, piece: bytes) -> Delta | None:
        """What one token adds; nothing while a character or a possible stop string is incomplete."""
        self.tokens += 1
        if self._stop_tokens and token_of(piece) in self._stop_tokens:
            self.is_stopped = True
            return None
        text = self._characters.push(piece)
        if self._call is not None:
            return self._call_delta(text)
        text = self._stops.push(text)
        self.is_stopped = self._stops.found is not None
        if self._top is not None:
            self._logprobs.push([_logprob(piece, self._top)])
        return Delta(text, logprobs=self._logprobs.take(text)) if text else None

    def finish(self, reason: FinishReason, usage: Usage) -> Delta:
        text = self._stops.flush()
        logprobs = self._logprobs.take(text) + self._logprobs.finish(cut=True)
        return Delta(text, logprobs=logprobs, finish_reason="stop" if self.is_stopped else reason, usage=usage)

    def _call_delta(self, text: str) -> Delta | None:
        assert self._call is not None
        if self.tokens == 1:
            # Ids only have to differ within a conversation; this one is the same in every run.
            head = ToolCallDelta(0, id=f"call_{self._call.name}", name=self._call.name, arguments=text)
            return Delta(tool_calls=(head,))
        return Delta(tool_calls=(ToolCallDelta(0, arguments=text),)) if text else None


class Pace:
    """Waits until the next token is due. Due times are counted from the start, so delays do not add up."""

    # A generator that never waits keeps the event loop to itself; every so many tokens it lets the others run.
    _TURN = 16

    def __init__(self, script: Script, *, uncached_tokens: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._step = script.token_ms / 1000
        self._due = (
            self._loop.time() + script.first_token_ms / 1000 + uncached_tokens * script.prefill_us_per_token / 1e6
        )
        self._unpaused = 0

    async def wait(self) -> None:
        pause = self._due - self._loop.time()
        self._due += self._step
        self._unpaused += 1
        if pause > 0:
            self._unpaused = 0
            await asyncio.sleep(pause)
        elif self._unpaused >= self._TURN:
            self._unpaused = 0
            await asyncio.sleep(0)


def _logprob(piece: bytes, alternatives: int) -> TokenLogprob:
    """Made up, but always the same for a piece: likely itself, each alternative half as likely as the one before."""
    token, spelled = piece.decode(errors="replace"), tuple(piece)
    logprob = -0.4 - token_of(piece) % 97 / 1000
    others = (
        TokenLogprob(chr(97 + rank), logprob - 3 - 0.7 * rank, (97 + rank,)) for rank in range(max(0, alternatives - 1))
    )
    top = (TokenLogprob(token, logprob, spelled), *others) if alternatives else ()
    return TokenLogprob(token, logprob, spelled, top)
