"""The rules, as pure functions over a conversation: what may be done with it now, and what it is afterwards.

Each refusal is an error that says what has to come first. Who may do it, and how often, is decided elsewhere.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from fastchat.arena.config import Integrity
from fastchat.arena.records import (
    Answer,
    Conversation,
    Ending,
    FilePart,
    Mark,
    Mode,
    Part,
    TextPart,
    Turn,
    Vote,
    text_of,
)
from fastchat.core.errors import AlreadyVoted, InvalidRequest, NotNow

TITLE_CHARS = 80


def check_question(question: Sequence[Part], rules: Integrity) -> None:
    """
    Raises:
        InvalidRequest: it is empty, or too long.
    """
    words = "".join(part.text for part in question if isinstance(part, TextPart))
    if not words.strip() and not any(isinstance(part, FilePart) for part in question):
        raise InvalidRequest("The question is empty. Write something, or add a file.", param="question")
    if len(words) > rules.question_chars:
        raise InvalidRequest(
            f"The question has {len(words):,} characters; the longest allowed here has {rules.question_chars:,}. "
            "Shorten it.",
            param="question",
        )


def check_may_ask(conversation: Conversation, rules: Integrity) -> None:
    """
    Raises:
        NotNow: it is being answered, or has all the turns it may have.
    """
    _check_is_idle(conversation)
    if len(conversation.turns) >= rules.turns:
        raise NotNow(
            f"No more than {rules.turns} turns are allowed here, and this conversation has had them. Start a new one."
        )


def check_may_regenerate(conversation: Conversation, rules: Integrity) -> None:
    """
    Raises:
        NotNow: nothing has been asked yet, it is being answered, or there is no room for what was voted on and more.
    """
    _check_is_idle(conversation)
    if not conversation.turns:
        raise NotNow("There is no answer yet. Ask something first.")
    if was_judged(conversation):
        check_may_ask(conversation, rules)


def check_may_edit(conversation: Conversation, number: int) -> None:
    """
    Raises:
        NotNow: it was voted on, or is being answered.
        InvalidRequest: there is no such turn.
    """
    if conversation.vote is not None:
        raise NotNow("This was voted on, so its questions stand. Ask something further, or start a new conversation.")
    _check_is_idle(conversation)
    if not 0 <= number < len(conversation.turns):
        raise InvalidRequest(f"There is no turn {number}; there are {len(conversation.turns)}.", param="turn")


def check_may_share(conversation: Conversation) -> None:
    """
    Raises:
        NotNow: names are hidden, or there is nothing whole to show.
    """
    if conversation.is_blind:
        raise NotNow("A battle can be shared once you have voted: the page shows the names.")
    _check_is_idle(conversation)
    if not conversation.turns:
        raise NotNow("There is nothing to share yet. Ask something first.")


def check_may_vote(conversation: Conversation, rules: Integrity, *, now: float) -> float:
    """How long the voter had the whole answers before them.

    Raises:
        InvalidRequest: a conversation with one model has no vote.
        AlreadyVoted: it has its vote.
        NotNow: the answers are not whole, or have not been there for as long as the arena asks for.
    """
    if conversation.mode is Mode.DIRECT:
        raise InvalidRequest("There is one model here, so nothing to vote on. Rate its answer instead.")
    if conversation.vote is not None:
        raise AlreadyVoted
    if not conversation.turns:
        raise NotNow("Ask something first; you vote on the answers.")
    if conversation.turns[-1].is_being_answered:
        raise NotNow("The answers are still being written. You can vote once both are complete.")
    if not can_vote(conversation):
        raise NotNow("An answer is incomplete. Regenerate the answers, then vote.")
    dwell_s = max(0.0, now - _ended_at(conversation.turns[-1]))
    if dwell_s < rules.dwell_s:
        wait_s = math.ceil(rules.dwell_s - dwell_s)
        raise NotNow(f"Read both answers first. You can vote in {wait_s} s.", retry_after_s=wait_s)
    return dwell_s


def can_vote(conversation: Conversation) -> bool:
    """Whether there is something to vote on; not yet whether it was there for long enough."""
    if conversation.mode is Mode.DIRECT or conversation.vote is not None or not conversation.turns:
        return False
    answers = conversation.turns[-1].answers
    return len(answers) == len(conversation.sides) and all(answer.is_whole for answer in answers)


def is_of_images(conversation: Conversation) -> bool:
    """Whether its models were drawn, or would be, among those that take images."""
    return bool(conversation.turns) and any(part.type == "image" for part in conversation.turns[0].question)


def was_judged(conversation: Conversation) -> bool:
    """Whether the vote was on the last turn, which therefore stays as it is."""
    return conversation.vote is not None and not conversation.turns[-1].is_after_vote


def _ended_at(turn: Turn) -> float:
    return max(answer.started_at + (answer.duration_s or 0.0) for answer in turn.answers)


def _check_is_idle(conversation: Conversation) -> None:
    if conversation.turns and conversation.turns[-1].is_being_answered:
        raise NotNow("The answers are still being written. Wait for them, or stop them first.")


def title_of(question: Sequence[Part]) -> str:
    """Of the question alone: an answer could tell who wrote it."""
    words = " ".join(text_of(tuple(part for part in question if isinstance(part, TextPart))).split())
    if not words:
        words = next((part.name or part.type for part in question if isinstance(part, FilePart)), "")
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1].rstrip() + "…"


def asked(conversation: Conversation, turn: Turn) -> Conversation:
    """With a further turn, which does not count if the names are known."""
    turn = replace(turn, is_after_vote=conversation.vote is not None)
    answers = conversation.turns[-1].answers if conversation.turns else ()
    if not all(answer.is_whole for answer in answers):
        conversation = marked(conversation, frozenset({Mark.UNFINISHED}))
    return replace(
        conversation,
        turns=(*conversation.turns, turn),
        title=conversation.title or title_of(turn.question),
        updated_at=turn.asked_at,
    )


def regenerated(conversation: Conversation, answers: tuple[Answer, ...], *, now: float) -> Conversation:
    """The last turn with answers that are being written anew."""
    changed = marked(answered(conversation, answers), frozenset({Mark.REGENERATED}))
    return replace(changed, updated_at=now)


def taken_back(conversation: Conversation, number: int) -> Conversation:
    """As it was before that turn. The models stay, and so does every mark: the voter has seen what came."""
    conversation = marked(conversation, frozenset({Mark.EDITED}))
    title = "" if number == 0 and conversation.title == title_of(conversation.turns[0].question) else conversation.title
    return replace(conversation, turns=conversation.turns[:number], title=title)


def answered(conversation: Conversation, answers: tuple[Answer, ...]) -> Conversation:
    """With what has been written, or is shown so far, of the last turn's answers."""
    last = conversation.turns[-1]
    return replace(conversation, turns=(*conversation.turns[:-1], replace(last, answers=answers)))


def marked(conversation: Conversation, marks: frozenset[Mark]) -> Conversation:
    """What is found out about a turn after the vote says nothing of what was voted on."""
    is_late = bool(conversation.turns) and conversation.turns[-1].is_after_vote
    return conversation if is_late else replace(conversation, marks=conversation.marks | marks)


def voted(conversation: Conversation, vote: Vote) -> Conversation:
    return replace(conversation, vote=vote, updated_at=vote.cast_at)


def interrupted(answers: Sequence[Answer], ending: Ending = Ending.INTERRUPTED) -> tuple[Answer, ...]:
    """Those that nobody writes any more, ended; the others as they are."""
    return tuple(replace(answer, ending=ending) if answer.ending is None else answer for answer in answers)
