"""Who is computed when, and what happens when the model fails, over a backend that computes nothing."""

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest
import torch

from fastchat.core.errors import WorkerFailed
from fastchat.engines.base import Delta, GenerationRequest, Sampling, TextPrompt
from fastchat.engines.hf.answer import Answer, Bounds
from fastchat.engines.hf.backend import Step
from fastchat.engines.hf.sampling import Sampler
from fastchat.engines.hf.scheduler import Job, Scheduler, Sent
from fastchat.engines.hf.thread import ModelThread
from fastchat.engines.hf.vocabulary import Vocabulary
from tests.engines import tiny_models

TOKENIZER = tiny_models.tokenizer()
VOCABULARY = Vocabulary(TOKENIZER, len(TOKENIZER))
GREEDY = Sampling(temperature=0)


class Counting:
    """A model that answers each token with the next one."""

    def __init__(self) -> None:
        self.sequences: dict[int, list[int]] = {}
        self.steps = 0
        self.fault: Callable[[list[int]], Exception | None] = lambda keys: None

    def add(self, key: int, prompt: Sequence[int], **_: object) -> None:
        self.sequences[key] = list(prompt)

    def step(self) -> Step:
        self.steps += 1
        if fault := self.fault(list(self.sequences)):
            raise fault
        logits = torch.zeros((len(self.sequences), len(TOKENIZER)))
        for row, tokens in enumerate(self.sequences.values()):
            logits[row, tokens[-1] + 1 if tokens[-1] < len(TOKENIZER) - 1 else 100] = 1
        return Step(tuple(self.sequences), logits)

    def append(self, key: int, token: int) -> None:
        self.sequences[key].append(token)

    def remove(self, key: int) -> None:
        self.sequences.pop(key, None)

    def shared_tokens(self, key: int) -> int:
        return 0

    def close(self) -> None: ...


class Desk:
    """Hands jobs in and keeps what comes back."""

    def __init__(self, slots: int = 2) -> None:
        self.backend = Counting()
        self.scheduler = Scheduler(self.backend, VOCABULARY, slots)
        self.sent: dict[int, list[Sent]] = {}

    def job(self, key: int, *, tokens: int = 3, first: int = 100) -> Job:
        request = GenerationRequest(TextPrompt("a"), GREEDY)
        bounds = Bounds(tokens, frozenset({1}))
        answer = Answer(request, VOCABULARY, bounds, prompt_tokens=1, reads_calls=False)
        self.sent[key] = []
        return Job(key, [first], Sampler(GREEDY, [first]), answer, self.sent[key].append)

    def steps(self, number: int) -> None:
        for _ in range(number):
            self.scheduler.step()

    def text(self, key: int) -> str:
        return "".join(item.text for item in self.sent[key] if isinstance(item, Delta))

    def has_ended(self, key: int) -> bool:
        last = self.sent[key][-1:]
        return bool(last) and isinstance(last[0], Delta) and last[0].finish_reason is not None


def test_those_who_came_first_are_served_first() -> None:
    desk = Desk(slots=2)
    for key in (1, 2, 3):
        desk.scheduler.add(desk.job(key))
    desk.scheduler.step()
    assert [len(desk.sent[key]) for key in (1, 2, 3)] == [1, 1, 0]
    desk.steps(2)
    assert desk.has_ended(1)
    assert desk.has_ended(2)
    assert not desk.sent[3]
    desk.steps(3)
    assert desk.text(3) == desk.text(1) == VOCABULARY.spell([101, 102, 103])
    assert not desk.scheduler.has_work
    assert not desk.backend.sequences


def test_who_leaves_makes_room_at_the_next_step() -> None:
    desk = Desk(slots=1)
    for key in (1, 2, 3):
        desk.scheduler.add(desk.job(key, tokens=100))
    desk.scheduler.step()
    desk.scheduler.remove(1)
    desk.scheduler.remove(2)
    desk.scheduler.step()
    assert list(desk.backend.sequences) == [3]
    assert len(desk.sent[1]) == 1
    assert not desk.sent[2]


def test_a_failed_step_takes_only_those_in_it() -> None:
    desk = Desk(slots=1)
    desk.scheduler.add(desk.job(1))
    desk.scheduler.add(desk.job(2))
    desk.backend.fault = lambda keys: ZeroDivisionError() if 1 in keys else None
    desk.scheduler.step()
    [error] = desk.sent[1]
    assert isinstance(error, WorkerFailed)
    assert "ZeroDivisionError" in error.message
    assert desk.scheduler.is_usable
    desk.steps(3)
    assert desk.has_ended(2)


def test_too_little_memory_is_called_so() -> None:
    desk = Desk()
    desk.scheduler.add(desk.job(1))
    desk.backend.fault = lambda keys: torch.OutOfMemoryError() if 1 in keys else None
    desk.scheduler.step()
    [error] = desk.sent[1]
    assert isinstance(error, WorkerFailed)
    assert "memory" in error.message
    assert desk.scheduler.is_usable


def test_a_model_that_fails_at_everything_is_unusable() -> None:
    desk = Desk(slots=1)
    desk.scheduler.add(desk.job(1))
    desk.scheduler.add(desk.job(2))
    desk.backend.fault = lambda keys: RuntimeError("the device is lost")
    desk.scheduler.step()
    desk.scheduler.add(desk.job(3))
    assert not desk.scheduler.is_usable
    assert all(isinstance(desk.sent[key][0], WorkerFailed) and len(desk.sent[key]) == 1 for key in (1, 2, 3))
    assert not desk.scheduler.has_work
    assert not desk.backend.sequences


def test_a_token_that_ends_is_counted_and_not_shown() -> None:
    desk = Desk()
    desk.scheduler.add(desk.job(1, first=0, tokens=9))  # the token after it is that of the end
    desk.scheduler.step()
    [last] = desk.sent[1]
    assert isinstance(last, Delta)
    assert (last.text, last.finish_reason) == ("", "stop")
    assert last.usage is not None
    assert last.usage.completion_tokens == 1


async def test_the_thread_sleeps_until_there_is_work() -> None:
    desk = Desk()
    thread = ModelThread(desk.scheduler)
    answered = threading.Event()
    job = desk.job(1)

    def note(sent: Sent) -> None:
        if isinstance(sent, Delta) and sent.finish_reason is not None:
            answered.set()

    await thread.run(lambda: None)
    assert desk.backend.steps == 0
    thread.submit(Job(job.key, job.prompt, job.sampler, job.answer, note))
    assert await asyncio.to_thread(answered.wait, 10)
    await thread.run(lambda: None)
    await thread.close()
    assert desk.backend.steps == 3


async def test_other_work_is_done_between_steps_and_may_fail() -> None:
    desk = Desk()
    thread = ModelThread(desk.scheduler)
    assert await thread.run(lambda: threading.current_thread().name) == "hf-model"
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert thread.is_healthy
    await thread.close()


async def test_when_the_thread_dies_nobody_waits_for_ever() -> None:
    desk = Desk()
    thread = ModelThread(desk.scheduler)
    held = threading.Event()

    def die(_: Sent) -> None:
        raise ZeroDivisionError

    desk.scheduler.is_usable = False  # so that a job is answered as soon as it is taken in
    job = desk.job(1)
    first = asyncio.create_task(thread.run(lambda: held.wait(10)))
    await asyncio.sleep(0)
    thread.submit(Job(job.key, job.prompt, job.sampler, job.answer, die))
    later = asyncio.create_task(thread.run(lambda: None))
    await asyncio.sleep(0)
    held.set()
    assert await first
    await asyncio.wait_for(asyncio.gather(later, return_exceptions=True), 5)
    assert not thread.is_healthy


async def test_closing_fails_what_is_under_way_and_all_that_comes_after() -> None:
    desk = Desk(slots=1)
    thread = ModelThread(desk.scheduler)
    thread.submit(desk.job(1, tokens=10**9))
    thread.submit(desk.job(2, tokens=10**9))
    await thread.close()
    await thread.close()
    assert all(isinstance(desk.sent[key][-1], WorkerFailed) for key in (1, 2))
    assert not thread.is_healthy
    with pytest.raises(WorkerFailed):
        thread.submit(desk.job(3))
    with pytest.raises(WorkerFailed):
        await thread.run(lambda: None)
    thread.cancel(1)
