"""A vote as it goes to the store: what the log will say of it, and what binds it to the conversation it was cast on."""

from fastchat.arena.records import Conversation, Vote
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
    )


def content_digest(conversation: Conversation) -> str:
    """Of all that the voter had before them."""
    messages: list[dict[str, object]] = []
    for turn in conversation.turns:
        parts = [part.model_dump(exclude_none=True) for part in turn.question]
        messages.append({"id": turn.message_id, "role": "user", "parts": parts})
        for answer in turn.answers:
            said = {"side": answer.side.value, "text": answer.text, "reasoning": answer.reasoning}
            messages.append({"id": answer.message_id, "role": "assistant", **said})
    return conversation_hash(messages)
