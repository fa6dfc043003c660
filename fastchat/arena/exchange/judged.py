"""What a vote was about: the turns before it, as they stood when it was cast."""

from dataclasses import dataclass

from fastchat.arena.exchange.standing import Standing, standing
from fastchat.arena.exchange.stored_lines import KEY, is_imported
from fastchat.arena.records import Outcome, Part, Side
from fastchat.arena.store.reading import Message, Transcript, VotedConversation


@dataclass(frozen=True, slots=True)
class JudgedTurn:
    question: tuple[Part, ...]
    answer: Message


def judged_turns(voted: VotedConversation, side: Side) -> list[JudgedTurn]:
    """Empty once it was erased."""
    return [JudgedTurn(turn.question.parts, turn.answer) for turn in standing_turns(voted, side) if turn.answer]


def standing_turns(voted: VotedConversation, side: Side) -> list[Standing]:
    """Also those that have no answer on this side; empty once it was erased."""
    transcript = voted.transcript
    if transcript is None or transcript.erased_at is not None:
        return []
    until = float("inf") if is_imported(transcript) else voted.leaf.cast_at
    before = [one for one in transcript.messages if not one.is_after_vote and one.created_at <= until]
    return standing(before, side)


def voted_at(voted: VotedConversation) -> float:
    """When it was clicked; of an imported vote the log has only the time of the import."""
    transcript = voted.transcript
    if transcript is None or not is_imported(transcript):
        return voted.leaf.cast_at
    return _clicked_at(transcript) or voted.leaf.cast_at


def _clicked_at(transcript: Transcript) -> float | None:
    lines = transcript.details[KEY].get("lines", ())
    return next((float(line["at"]) for line in lines if line["type"] in list(Outcome)), None)
