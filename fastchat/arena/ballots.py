"""A vote as it goes to the store: what the log will say of it, and what binds it to the conversation it was cast on."""

from collections.abc import Sequence

from fastchat.arena.records import Conversation, Part, Side, Vote
from fastchat.arena.store.rows import storable, storable_json
from fastchat.arena.store.store import Ballot
from fastchat.arena.transparency.leaves import conversation_hash


def ballot_of(conversation: Conversation, vote: Vote, address_hash: str, *, salt: bytes) -> Ballot:
    battle = conversation.battle
    assert battle is not None
    assert conversation.voter_id is not None
    return Ballot(
        vote_id=vote.vote_id,
        battle_id=battle.battle_id,
        conversation_id=conversation.conversation_id,
        arena=conversation.arena,
        mode=conversation.mode.value,
        outcome=vote.outcome,
        model_a=battle.model_a,
        model_b=battle.model_b,
        probability=battle.probability,
        cast_at=vote.cast_at,
        voter_id=conversation.voter_id,
        address_hash=address_hash,
        content_digest=content_digest(conversation),
        salt=salt,
        reasons=vote.reasons,
        marks=conversation.marks,
        dwell_s=vote.dwell_s,
        category=conversation.category,
    )


def content_digest(conversation: Conversation) -> str:
    """Of all that the voter had before them, as the store keeps it."""
    messages: list[dict[str, object]] = []
    for turn in conversation.turns:
        messages.append(asked(turn.message_id, turn.question))
        for answer in turn.answers:
            messages.append(answered(answer.message_id, answer.side, answer.text, answer.reasoning))
    return conversation_hash(messages)


def asked(message_id: str, parts: Sequence[Part]) -> dict[str, object]:
    dumped = [storable_json(part.model_dump(exclude_none=True)) for part in parts]
    return {"id": message_id, "role": "user", "parts": dumped}


def answered(message_id: str, side: Side, text: str, reasoning: str) -> dict[str, object]:
    said = {"side": side.value, "text": storable(text), "reasoning": storable(reasoning)}
    return {"id": message_id, "role": "assistant", **said}
