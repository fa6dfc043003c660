"""Putting a whole conversation into the store at once, in place of what was known of it: for importers. Votes are cast
like everybody's; those of a conversation stay whatever is put there."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select, update

from fastchat.arena.store.reading import Message, Transcript
from fastchat.arena.store.tables import BATTLES, CONVERSATIONS, FEEDBACK, FILES, JUDGEMENTS, MESSAGES


def put(connection: Connection, transcript: Transcript) -> None:
    """Its battle is never changed once it is there: a vote may rest on it."""
    conversation_id = transcript.conversation_id
    row = {
        "arena": transcript.arena,
        "mode": transcript.mode,
        "voter_id": transcript.voter_id,
        "models": list(transcript.models),
        "title": transcript.title,
        "system": transcript.system,
        "sampling": asdict(transcript.sampling),
        "category": transcript.category,
        "language": transcript.language,
        "marks": sorted(transcript.marks),
        "address_hash": transcript.address_hash,
        "details": dict(transcript.details),
        "created_at": transcript.created_at,
        "updated_at": transcript.updated_at,
    }
    known = connection.execute(select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.id == conversation_id)).first()
    if known:
        _remove_messages(connection, conversation_id)
        connection.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(**row))
    else:
        connection.execute(insert(CONVERSATIONS).values(id=conversation_id, **row))
    if transcript.messages:
        connection.execute(insert(MESSAGES), [_row(conversation_id, message) for message in transcript.messages])
    if transcript.thumbs:
        connection.execute(insert(FEEDBACK), _thumbs(transcript))
    _put_battle(connection, transcript)


def remove(connection: Connection, conversation_id: str) -> None:
    """One without a battle, so without a vote: it turned out to be a side of another."""
    _remove_messages(connection, conversation_id)
    connection.execute(delete(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id))


def conversations_of_battles(connection: Connection, battle_ids: Sequence[str]) -> dict[str, str]:
    """By the battle's id."""
    query = select(BATTLES.c.id, BATTLES.c.conversation_id).where(BATTLES.c.id.in_(battle_ids))
    return {row.id: row.conversation_id for row in connection.execute(query)}


def put_file(
    connection: Connection, file_id: str, voter_id: str, content: bytes, media_type: str, name: str, at: float
) -> None:
    """Once: the same picture may be asked about by many."""
    if connection.execute(select(FILES.c.id).where(FILES.c.id == file_id)).first() is None:
        row = {"id": file_id, "voter_id": voter_id, "media_type": media_type, "name": name, "content": content}
        connection.execute(insert(FILES).values(**row, uploaded_at=at))


def _remove_messages(connection: Connection, conversation_id: str) -> None:
    ids = select(MESSAGES.c.id).where(MESSAGES.c.conversation_id == conversation_id)
    for table in (FEEDBACK, JUDGEMENTS):
        connection.execute(delete(table).where(table.c.message_id.in_(ids)))
    connection.execute(delete(MESSAGES).where(MESSAGES.c.conversation_id == conversation_id))


def _put_battle(connection: Connection, transcript: Transcript) -> None:
    battle = transcript.battle
    if battle is None:
        return
    if connection.execute(select(BATTLES.c.id).where(BATTLES.c.id == battle.battle_id)).first() is not None:
        return
    row = {key: value for key, value in asdict(battle).items() if key != "battle_id"}
    connection.execute(insert(BATTLES).values(id=battle.battle_id, conversation_id=transcript.conversation_id, **row))


def _row(conversation_id: str, message: Message) -> dict[str, object]:
    return {
        "id": message.message_id,
        "conversation_id": conversation_id,
        "turn": message.turn,
        "role": "user" if message.side is None else "assistant",
        "side": message.side,
        "attempt": message.attempt,
        "model": message.model,
        "parts": [part.model_dump() for part in message.parts],
        "reasoning": message.reasoning,
        "ending": message.ending,
        "error": message.error,
        "is_after_vote": message.is_after_vote,
        "is_superseded": message.is_superseded,
        "first_token_s": message.first_token_s,
        "duration_s": message.duration_s,
        "prompt_tokens": message.prompt_tokens,
        "completion_tokens": message.completion_tokens,
        "created_at": message.created_at,
    }


def _thumbs(transcript: Transcript) -> list[dict[str, object]]:
    return [
        {
            "id": f"{given.message_id[:30]}-{number:05x}",
            "message_id": given.message_id,
            "voter_id": transcript.voter_id,
            "thumb": given.thumb,
            "reasons": list(given.reasons),
            "given_at": given.given_at,
        }
        for number, given in enumerate(transcript.thumbs)
    ]
