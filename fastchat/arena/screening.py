"""What is found out about questions and answers: marks that rankings read, and what moderation withholds."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fastchat.arena.answering import Clock
from fastchat.arena.config import ArenaConfig
from fastchat.arena.duplicates import RecentPrompts, digest
from fastchat.arena.identity import asks_for_identity, names_itself
from fastchat.arena.moderation.base import Judgement, Moderator, windows
from fastchat.arena.moderation.policy import NOTICES, Decision, Policy, on_answer, on_question
from fastchat.arena.records import Answer, Ending, Mark
from fastchat.core.errors import PermissionDenied

WINDOW_S = 86400.0
FREQUENT = 20  # times within the window
REMEMBERED = 100_000
# Searching holds the interpreter, so everybody waits for as long as one piece takes; and what many files hold together
# is not worth seconds of work.
PIECE_CHARS, OVERLAP_CHARS, SEARCHED_CHARS = 5_000, 500, 150_000
_POLICIES: Mapping[str, Policy] = {
    "mark": Policy(on_flagged_question="mark", on_flagged_answer="mark", on_failure="allow"),
    "refuse": Policy(),
}


@dataclass(frozen=True, slots=True)
class Examined:
    """An answer, and what was found out about it."""

    answer: Answer
    marks: frozenset[Mark]
    judgement: Judgement | None = None


class Screening:
    """Of one arena. `key` makes the digests under which prompts are remembered."""

    def __init__(self, config: ArenaConfig, moderator: Moderator, *, key: bytes, clock: Clock) -> None:
        self._policy = _POLICIES[config.integrity.on_flag]
        self._moderator = moderator
        self._recent = RecentPrompts(window_s=WINDOW_S, limit=FREQUENT, capacity=REMEMBERED, clock=clock)
        self._key = key

    @property
    def sees_images(self) -> bool:
        return self._moderator.sees_images

    async def judge_question(self, words: str, images: Sequence[str]) -> Judgement:
        return await self._moderator.check(words, images, role="user")

    def question_marks(self, judgement: Judgement) -> frozenset[Mark]:
        """
        Raises:
            PermissionDenied: it may not be asked here.
        """
        decision = on_question(judgement, self._policy)
        if decision.notice is not None:
            raise PermissionDenied(NOTICES[decision.notice], param="question")
        return decision.marks

    async def marks_of_words(
        self, words: str, voter_id: str, models: Sequence[str], *, is_first: bool
    ) -> frozenset[Mark]:
        asks = await asyncio.to_thread(_holds, asks_for_identity, words, models)
        marks = {Mark.ASKS_FOR_IDENTITY} if asks else set()
        if is_first:  # what comes later ("go on") means something within its conversation only
            seen = self._recent.add(digest(words, self._key), voter_id)
            marks |= {Mark.FREQUENT_PROMPT} if seen.is_frequent else set()
            marks |= {Mark.REPEATED_PROMPT} if seen.is_repeated else set()
        return frozenset(marks)

    async def examine(self, answers: Sequence[Answer], models: Sequence[str]) -> list[Examined]:
        """Both sides at the same time, each by itself."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._examine(answer, models)) for answer in answers]
        return [task.result() for task in tasks]

    async def _examine(self, answer: Answer, models: Sequence[str]) -> Examined:
        words = f"{answer.reasoning}\n\n{answer.text}".strip()
        if not words:
            return Examined(answer, frozenset())
        named = await asyncio.to_thread(_holds, names_itself, words, models)
        marks = frozenset({Mark.NAMES_ITSELF}) if named else frozenset()
        judgement = await self._moderator.check(words, role="assistant")
        decision = on_answer(judgement, self._policy)
        return Examined(_withheld(answer, decision), marks | decision.marks, judgement)


def _holds(search: Callable[[str, Sequence[str]], object], words: str, models: Sequence[str]) -> bool:
    """Whether a search finds anything; a name or a phrase is shorter than what two pieces share."""
    return any(search(piece, models) for piece in windows(words[:SEARCHED_CHARS], PIECE_CHARS, OVERLAP_CHARS))


def _withheld(answer: Answer, decision: Decision) -> Answer:
    if decision.notice is None:
        return answer
    return replace(answer, text="", reasoning="", ending=Ending.FAILED, error=f"{decision.notice}: ")
