"""Between the arena's values and rows of the tables.

Databases take no NUL and no half of a surrogate pair, which people and models do send: both become U+FFFD here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from fastchat.arena.records import (
    Answer,
    Battle,
    Conversation,
    Ending,
    Mark,
    Mode,
    Outcome,
    Part,
    Sampling,
    Side,
    TextPart,
    Thumb,
    Turn,
    Vote,
    text_of,
)

Row: TypeAlias = RowMapping
_PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])
_SIDES = (Side.LEFT.value, Side.RIGHT.value)


def storable(text: str) -> str:
    if "\0" not in text and text.isascii():
        return text
    return "".join("\ufffd" if char == "\0" or "\ud800" <= char <= "\udfff" else char for char in text)


def storable_json(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(key)): storable_json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [storable_json(item) for item in value]
    return value


def conversation_row(conversation: Conversation, address_hash: str) -> dict[str, object]:
    return {
        "id": conversation.conversation_id,
        "arena": conversation.arena,
        "mode": conversation.mode.value,
        "voter_id": conversation.voter_id,
        "system": storable(conversation.system),
        "category": conversation.category,
        "share_id": conversation.share_id,
        "address_hash": address_hash,
        "details": storable_json(conversation.details),
        "created_at": conversation.created_at,
        **changing(conversation),
    }


def changing(conversation: Conversation) -> dict[str, object]:
    """What turns change about the conversation they belong to."""
    return {
        "models": list(conversation.models),
        "sampling": {name: value for name, value in asdict(conversation.sampling).items() if value is not None},
        "title": storable(conversation.title),
        "marks": sorted(conversation.marks),
        "updated_at": conversation.updated_at,
    }


def battle_row(conversation_id: str, battle: Battle) -> dict[str, object]:
    return {
        "id": battle.battle_id,
        "conversation_id": conversation_id,
        "model_a": battle.model_a,
        "model_b": battle.model_b,
        "probability": battle.probability,
        "policy": battle.policy,
        "drawn_at": battle.drawn_at,
    }


def question_row(conversation_id: str, turn: Turn) -> dict[str, object]:
    return _message(conversation_id, turn, turn.message_id, turn.question, turn.asked_at) | {"role": "user"}


def answer_row(conversation_id: str, turn: Turn, answer: Answer) -> dict[str, object]:
    parts = (TextPart(text=answer.text),) if answer.text else ()
    return _message(conversation_id, turn, answer.message_id, parts, answer.started_at) | {
        "role": "assistant",
        "side": answer.side.value,
        "attempt": answer.attempt,
        "model": answer.model,
        "reasoning": storable(answer.reasoning),
        "ending": answer.ending and answer.ending.value,
        "error": storable(answer.error),
        "first_token_s": answer.first_token_s,
        "duration_s": answer.duration_s,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
    }


def _message(
    conversation_id: str, turn: Turn, message_id: str, parts: tuple[Part, ...], created_at: float
) -> dict[str, object]:
    """Every column, so that rows of both kinds go into one statement."""
    return {
        "id": message_id,
        "conversation_id": conversation_id,
        "turn": turn.number,
        "side": None,
        "attempt": 1,
        "model": None,
        "parts": storable_json([part.model_dump(exclude_none=True) for part in parts]),
        "reasoning": "",
        "ending": None,
        "error": "",
        "is_after_vote": turn.is_after_vote,
        "is_superseded": False,
        "first_token_s": None,
        "duration_s": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "created_at": created_at,
    }


def conversation_of(
    row: Row, messages: Iterable[Row], thumbs: Mapping[str, Thumb], battle: Row | None, vote: Row | None
) -> Conversation:
    return Conversation(
        conversation_id=row["id"],
        arena=row["arena"],
        mode=Mode(row["mode"]),
        voter_id=row["voter_id"],
        models=tuple(row["models"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        title=row["title"],
        system=row["system"],
        sampling=Sampling(**row["sampling"]),
        turns=tuple(_turns(messages, thumbs)),
        battle=_battle(battle) if battle else None,
        vote=_vote(vote) if vote else None,
        marks=frozenset(map(Mark, row["marks"])),
        category=row["category"],
        share_id=row["share_id"],
        details=row["details"],
    )


def _vote(row: Row) -> Vote:
    return Vote(
        vote_id=row["id"],
        battle_id=row["battle_id"],
        outcome=Outcome(row["outcome"]),
        cast_at=row["cast_at"],
        reasons=tuple(row["reasons"] or ()),
        dwell_s=row["dwell_s"],
    )


def _battle(row: Row) -> Battle:
    return Battle(row["id"], row["model_a"], row["model_b"], row["probability"], row["policy"], row["drawn_at"])


def _turns(messages: Iterable[Row], thumbs: Mapping[str, Thumb]) -> Iterable[Turn]:
    """From messages by turn, in which each question stands before its answers."""
    question: Row | None = None
    answers: list[Row] = []
    for message in messages:
        if message["role"] != "user":
            answers.append(message)
            continue
        if question is not None:
            yield _turn(question, answers, thumbs)
        question, answers = message, []
    if question is not None:
        yield _turn(question, answers, thumbs)


def _turn(question: Row, answers: list[Row], thumbs: Mapping[str, Thumb]) -> Turn:
    return Turn(
        message_id=question["id"],
        number=question["turn"],
        question=_PARTS.validate_python(question["parts"]),
        asked_at=question["created_at"],
        answers=tuple(_answer(row, thumbs.get(row["id"])) for row in sorted(answers, key=_side)),
        is_after_vote=question["is_after_vote"],
    )


def _side(answer: Row) -> int:
    return _SIDES.index(answer["side"])


def _answer(row: Row, thumb: Thumb | None) -> Answer:
    return Answer(
        message_id=row["id"],
        side=Side(row["side"]),
        model=row["model"],
        text=text_of(_PARTS.validate_python(row["parts"])),
        reasoning=row["reasoning"],
        ending=Ending(row["ending"] or Ending.INTERRUPTED),
        error=row["error"],
        attempt=row["attempt"],
        started_at=row["created_at"],
        first_token_s=row["first_token_s"],
        duration_s=row["duration_s"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        thumb=thumb,
    )
