"""Has a model label prompts: many at once, each answer kept as soon as it is there, so a run may be ended at any time.

What could not be labelled (the model failed, or its answer is none of those asked for) is counted and left without a
label; the next run asks again.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from fastchat.arena.leaderboard.categories.label_file import Label, LabelFile, Values, digest_of
from fastchat.arena.leaderboard.categories.tasks import Task, Unreadable
from fastchat.client.chat import Message
from fastchat.core.errors import (
    AuthenticationFailed,
    FastChatError,
    InvalidRequest,
    PermissionDenied,
    RequestTooLarge,
    SetupError,
    UnknownModel,
)

Ask: TypeAlias = Callable[[Sequence[Message]], Awaitable[str]]

ATTEMPTS = 2
PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
MOST_FAILURES = 100  # one after the other: then nobody is there who answers
_FOR_ALL = (AuthenticationFailed, PermissionDenied, UnknownModel)  # would refuse every other question, too
UNREADABLE = "an answer that is none of those asked for"


@dataclass(slots=True)
class Progress:
    """Counts of pairs of a prompt and a task."""

    wanted: int = 0
    known: int = 0  # from an earlier run
    labelled: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # why → how often

    @property
    def failed(self) -> int:
        return self.failures.total()


class _Question(NamedTuple):
    task: Task
    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Labeller:
    """`model` names who answers in the labels; a label is asked for again when it, or the question, is another."""

    ask: Ask
    model: str
    concurrency: int = 16
    pause_s: float = PAUSE_S

    def by(self, task: Task) -> str:
        return f"{self.model}, prompt {task.version}"

    async def label(
        self,
        texts: Iterable[str],
        tasks: Sequence[Task],
        labels: LabelFile,
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> Progress:
        """
        Raises:
            SetupError: nobody answers, or the server refuses whoever asks.
        """
        progress = Progress()
        open_questions = self._open(texts, tasks, labels, progress)
        in_a_row = 0  # failures since something was answered

        async def work() -> None:
            nonlocal in_a_row
            for question in open_questions:
                if (answer := await self._answered(question, progress)) is None:
                    in_a_row += 1
                    if in_a_row >= MOST_FAILURES:
                        why = progress.failures.most_common(1)[0][0]
                        raise SetupError(f"{in_a_row} questions in a row were not answered, mostly: {why}")
                else:
                    in_a_row = 0
                    labels.add(Label(question.task.name, self.by(question.task), question.digest, answer))
                    progress.labelled += 1
                tell(progress)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(self.concurrency):
                    workers.create_task(work())
        except* SetupError as errors:
            raise _first(errors) from None
        return progress

    def _open(
        self, texts: Iterable[str], tasks: Sequence[Task], labels: LabelFile, progress: Progress
    ) -> Iterator[_Question]:
        seen: set[tuple[str, str]] = set()
        for text in texts:
            digest = digest_of(text)
            for task in tasks:
                if (digest, task.name) in seen:
                    continue
                seen.add((digest, task.name))
                progress.wanted += 1
                if labels.get(task.name, self.by(task), digest) is not None:
                    progress.known += 1
                else:
                    yield _Question(task, text, digest)

    async def _answered(self, question: _Question, progress: Progress) -> Values | None:
        """None: no label this time; why is counted."""
        why = ""
        for _ in range(ATTEMPTS):
            try:
                said = await self.ask([{"role": "user", "content": question.task.question(question.text)}])
                return question.task.read(said)
            except Unreadable:
                why = UNREADABLE  # asked again: not every model answers the same twice
            except _FOR_ALL as error:
                raise SetupError(error.message) from None
            except FastChatError as error:
                why = f"{type(error).__name__}: {error.message}"
                if isinstance(error, InvalidRequest | RequestTooLarge):
                    break  # the same again would be refused again
                await asyncio.sleep(min(error.retry_after_s or self.pause_s, _LONGEST_PAUSE_S))
        progress.failures[why] += 1
        return None


def _first(errors: BaseExceptionGroup[SetupError]) -> SetupError:
    found = errors.exceptions[0]
    return found if isinstance(found, SetupError) else _first(found)
