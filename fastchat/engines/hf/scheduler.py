"""Who is computed when: requests come in turn, join the running batch as slots fall free, and leave it at any step.

Synchronous, and in the model's own thread; what it makes goes out through each job's `send`.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from fastchat.core.errors import FastChatError, WorkerFailed
from fastchat.engines.base import Delta, TokenLogprob
from fastchat.engines.hf.answer import Answer, logprob_entry
from fastchat.engines.hf.backend import Backend
from fastchat.engines.hf.constraints import Guide
from fastchat.engines.hf.sampling import Sampler, draw
from fastchat.engines.hf.vocabulary import Vocabulary

log = logging.getLogger(__name__)

Sent: TypeAlias = Delta | FastChatError
_TRIAL = -1  # the key of a sequence of our own


@dataclass(frozen=True, slots=True)
class Job:
    """A request, ready to be computed."""

    key: int
    prompt: list[int]
    sampler: Sampler
    answer: Answer
    send: Callable[[Sent], None]  # the last thing sent has a finish_reason or is an error
    guide: Guide | None = None
    top_logprobs: int | None = None
    adapter: str | None = None
    may_share: bool = False
    inputs: Mapping[str, Any] | None = None  # pictures


class Scheduler:
    def __init__(self, backend: Backend, vocabulary: Vocabulary, slots: int) -> None:
        self._backend = backend
        self._vocabulary = vocabulary
        self._slots = slots
        self._waiting: deque[Job] = deque()
        self._running: dict[int, Job] = {}
        self.is_usable = True  # False once the model fails whatever it is asked

    @property
    def has_work(self) -> bool:
        return bool(self._waiting or self._running)

    def add(self, job: Job) -> None:
        if self.is_usable:
            self._waiting.append(job)
        else:
            job.send(WorkerFailed("The model can no longer answer."))

    def remove(self, key: int) -> None:
        """Its caller has left. Also for one that has had its answer."""
        self._running.pop(key, None)
        self._backend.remove(key)
        self._waiting = deque(job for job in self._waiting if job.key != key)

    def step(self) -> None:
        while self._waiting and len(self._running) < self._slots:
            job = self._waiting.popleft()
            self._running[job.key] = job
            self._backend.add(job.key, job.prompt, adapter=job.adapter, may_share=job.may_share, inputs=job.inputs)
        try:
            with torch.inference_mode():  # the logits come from one, and are changed in place
                keys, logits = self._backend.step()
                self._go_on([self._running[key] for key in keys], logits)
        except Exception as error:
            log.exception("a step of the model failed; the requests in it are lost")
            self._fail(error)

    def fail_all(self, error: FastChatError) -> None:
        for job in (*self._running.values(), *self._waiting):
            job.send(error)
            self._backend.remove(job.key)
        self._running.clear()
        self._waiting.clear()

    def _go_on(self, jobs: list[Job], logits: torch.Tensor) -> None:
        """Draw and pass on the next token of each."""
        guides = [self._allowed(job) for job in jobs]
        if any(guide is _FAILED for guide in guides):
            rows = [row for row, guide in enumerate(guides) if guide is not _FAILED]
            jobs, guides, logits = [jobs[row] for row in rows], [guides[row] for row in rows], logits[rows]
        if not jobs:
            return
        told = {row: logits[row].log_softmax(-1) for row, job in enumerate(jobs) if job.top_logprobs is not None}
        tokens = draw(logits, [job.sampler for job in jobs], guides)
        for row, (job, token) in enumerate(zip(jobs, tokens, strict=True)):
            self._advance(job, token, told.get(row))

    def _allowed(self, job: Job) -> torch.Tensor | None:
        if job.guide is None:
            return None
        try:
            return job.guide.allowed()
        except FastChatError as error:
            self._end(job, error)
            return _FAILED

    def _advance(self, job: Job, token: int, logprobs: torch.Tensor | None) -> None:
        entry = None if logprobs is None else self._logprob(token, logprobs, job.top_logprobs or 0)
        job.sampler.note(token)
        try:
            if job.guide is not None:
                job.guide.note(token)
        except FastChatError as error:
            self._end(job, error)
            return
        job.answer.cached_tokens = self._backend.shared_tokens(job.key)
        delta = job.answer.add(token, entry, is_complete=job.guide is not None and job.guide.is_complete)
        if delta is not None:
            job.send(delta)
        if job.answer.is_over:
            self._end(job, job.answer.last())
        else:
            self._backend.append(job.key, token)

    def _logprob(self, token: int, logprobs: torch.Tensor, number: int) -> TokenLogprob:
        values, tokens = logprobs.topk(min(number, len(logprobs)))
        best = list(zip(tokens.tolist(), values.tolist(), strict=True))
        return logprob_entry(self._vocabulary, token, float(logprobs[token]), best)

    def _end(self, job: Job, last: Sent) -> None:
        job.send(last)
        del self._running[job.key]
        self._backend.remove(job.key)

    def _fail(self, error: Exception) -> None:
        """The requests that were running are lost; whether others have a chance is tried out."""
        for job in list(self._running.values()):
            self._end(job, WorkerFailed(_complaint(error)))
        try:
            self._backend.add(_TRIAL, [0])
            self._backend.step()
        except Exception:
            log.exception("the model fails at everything")
            self.is_usable = False
            self.fail_all(WorkerFailed("The model can no longer answer."))
        finally:
            self._backend.remove(_TRIAL)


_FAILED = torch.empty(0)


def _complaint(error: Exception) -> str:
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return "There was not enough memory to go on with this answer."
    return f"The model failed in the middle of this answer ({type(error).__name__})."
