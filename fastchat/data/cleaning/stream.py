"""Conversations through rules and memories: on all cores, in their order, a few batches at a time in memory."""

import contextlib
import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

from fastchat.core.errors import SetupError
from fastchat.data.cleaning.rules import BatchRule, Changed, Dropped, Memory, Rule
from fastchat.data.cleaning.tally import Reason, Tally
from fastchat.data.records import Conversation
from fastchat.data.texts import text_of

_BATCH_CHARS = 500_000
_BATCH = 256
_AHEAD = 2  # batches for each worker that wait or are done


class Event(NamedTuple):
    reason: Reason
    found: str


class Treated(NamedTuple):
    id: str
    conversation: Conversation | None  # None: dropped
    marks: Sequence[Any]  # of memories
    events: Sequence[Event]
    chars: int  # of what came in


def clean(
    conversations: Iterable[Conversation],
    rules: Sequence[Rule],
    memories: Sequence[Memory],
    *,
    tally: Tally,
    workers: int = 1,
) -> Iterator[list[Conversation]]:
    """What stays, batch by batch, in its order; what is done is added to `tally`. One worker works in this process.

    Raises:
        SetupError: a worker died.
    """
    treated = _in_processes if workers > 1 else _here
    with contextlib.closing(treated(_batches(conversations), rules, memories, workers)) as batches:
        for batch in batches:
            yield [one for each in batch if (one := _remembered(each, memories, tally)) is not None]


def _remembered(treated: Treated, memories: Sequence[Memory], tally: Tally) -> Conversation | None:
    tally.read += 1
    tally.chars_read += treated.chars
    for event in treated.events:
        tally.add(event.reason, treated.id, event.found)
    conversation = treated.conversation
    if conversation is None:
        return None
    for memory, mark in zip(memories, treated.marks, strict=True):
        if dropped := memory.recognise(conversation, mark):
            tally.add(Reason(memory.name, "dropped", dropped.why), treated.id, dropped.found)
            return None
    tally.written += 1
    tally.chars_written += _chars(conversation)
    return conversation


def treat(batch: Sequence[Conversation], rules: Sequence[Rule], memories: Sequence[Memory]) -> list[Treated]:
    """The part that needs no other conversation."""
    left: dict[int, Conversation] = dict(enumerate(batch))
    events: list[list[Event]] = [[] for _ in batch]
    for rule in rules:
        numbers, conversations = list(left), list(left.values())
        outcomes = rule.apply_all(conversations) if isinstance(rule, BatchRule) else map(rule.apply, conversations)
        for number, outcome in zip(numbers, outcomes, strict=True):
            if isinstance(outcome, Dropped):
                events[number].append(Event(Reason(rule.name, "dropped", outcome.why), outcome.found))
                del left[number]
            elif isinstance(outcome, Changed):
                events[number].append(Event(Reason(rule.name, "changed", outcome.why), outcome.found))
                left[number] = outcome.conversation
    return [
        Treated(
            before.id,
            after := left.get(number),
            [] if after is None else [memory.mark(after) for memory in memories],
            events[number],
            _chars(before),
        )
        for number, before in enumerate(batch)
    ]


def _chars(conversation: Conversation) -> int:
    return sum(len(text_of(message)) for message in conversation.messages)


def _batches(conversations: Iterable[Conversation]) -> Iterator[list[Conversation]]:
    batch: list[Conversation] = []
    chars = 0
    for conversation in conversations:
        batch.append(conversation)
        chars += _chars(conversation)
        if len(batch) == _BATCH or chars >= _BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _here(
    batches: Iterable[Sequence[Conversation]], rules: Sequence[Rule], memories: Sequence[Memory], workers: int
) -> Generator[list[Treated], None, None]:
    for batch in batches:
        yield treat(batch, rules, memories)


def _in_processes(
    batches: Iterable[Sequence[Conversation]], rules: Sequence[Rule], memories: Sequence[Memory], workers: int
) -> Generator[list[Treated], None, None]:
    context = multiprocessing.get_context("spawn")  # our threads and open files are none of the workers' business
    pool = ProcessPoolExecutor(workers, context, _begin_worker, (rules, memories))
    try:
        waiting: deque[Future[list[Treated]]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_treat_in_worker, batch))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise SetupError("A worker process died; most likely memory ran out. Try fewer: --workers 1.") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """What a worker process holds: set once, before its first batch."""

    rules: Sequence[Rule] = ()
    memories: Sequence[Memory] = ()


def _begin_worker(rules: Sequence[Rule], memories: Sequence[Memory]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _Worker.rules, _Worker.memories = rules, memories


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Also when it was killed, and could tell nobody."""
    parent.join()
    os._exit(1)


def _treat_in_worker(batch: Sequence[Conversation]) -> list[Treated]:
    try:
        return treat(batch, _Worker.rules, _Worker.memories)
    except SetupError as error:
        raise SetupError(error.message) from None  # not every kind of it can travel
