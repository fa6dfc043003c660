"""Conversations as the arena shows them, made of a few words."""

from typing import Any

from fastchat.arena.records import Ending, Mode, Outcome, Part, Side, TextPart
from fastchat.arena.views import AnswerView, ConversationView, TurnView, VoteView


def answer(side: Side = Side.LEFT, **fields: Any) -> AnswerView:
    return AnswerView(**({"message_id": f"m-{side}", "side": side, "ending": Ending.COMPLETE} | fields))


def turn(question: str | tuple[Part, ...], *answers: AnswerView) -> TurnView:
    parts = (TextPart(text=question),) if isinstance(question, str) else question
    return TurnView(message_id=f"q-{question}", question=parts, answers=answers)


def view(*turns: TurnView, mode: Mode = Mode.DIRECT, outcome: Outcome | None = None, **fields: Any) -> ConversationView:
    names = ("tiny-chat",) if mode is Mode.DIRECT else ("osprey-7b", "plover-9b")
    is_blind = mode is Mode.BATTLE and outcome is None
    is_open = any(one.ending is None for one in turns[-1].answers) if turns else False
    whole: dict[str, Any] = {
        "conversation_id": "c-1",
        "arena": "default",
        "mode": mode,
        "title": "A title",
        "is_blind": is_blind,
        "models": (None,) * len(names) if is_blind else names,
        "turns": turns,
        "is_being_answered": is_open,
        "can_vote": False,
        "vote": VoteView(vote_id="v", outcome=outcome, cast_at=0.0) if outcome else None,
        "created_at": 0.0,
        "updated_at": 0.0,
    }
    return ConversationView(**(whole | fields))
