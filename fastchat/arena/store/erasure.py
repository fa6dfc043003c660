"""Taking out what belongs to people: texts, files, addresses, salts, and who it was. Votes stay, and the log with them.

Without its salt a vote's digest cannot be led back to anybody, and the leaf it stands in is as it was signed.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, String, delete, func, select, update
from sqlalchemy import cast as sql_cast

from fastchat.arena.store.tables import (
    BATTLES,
    CONSENTS,
    CONVERSATIONS,
    FEEDBACK,
    FILES,
    JUDGEMENTS,
    MESSAGES,
    VOTE_DETAILS,
    VOTERS,
    VOTES,
)

_NOBODY = {"voter_id": None, "address_hash": None}


def erase_conversations(connection: Connection, conversation_ids: Sequence[str], at: float) -> None:
    those = list(conversation_ids)
    messages = select(MESSAGES.c.id).where(MESSAGES.c.conversation_id.in_(those))
    for file_id in _files_of(connection, those):
        connection.execute(delete(FILES).where(FILES.c.id == file_id))
    connection.execute(update(FEEDBACK).where(FEEDBACK.c.message_id.in_(messages)).values(voter_id=None, reasons=[]))
    # What a moderator found may quote the words.
    connection.execute(update(JUDGEMENTS).where(JUDGEMENTS.c.message_id.in_(messages)).values(categories={}))
    connection.execute(
        update(MESSAGES).where(MESSAGES.c.conversation_id.in_(those)).values(parts=[], reasoning="", error="")
    )
    votes = (
        select(VOTES.c.id).join(BATTLES, BATTLES.c.id == VOTES.c.battle_id).where(BATTLES.c.conversation_id.in_(those))
    )
    connection.execute(
        update(VOTE_DETAILS).where(VOTE_DETAILS.c.vote_id.in_(votes)).values(**_NOBODY, salt=None, reasons=[])
    )
    connection.execute(
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id.in_(those), CONVERSATIONS.c.erased_at.is_(None))
        .values(**_NOBODY, title="", system="", details={}, share_id=None, erased_at=at)
    )


def _files_of(connection: Connection, conversation_ids: Sequence[str]) -> list[str]:
    """Those that no other conversation shows."""
    parts = connection.scalars(
        select(MESSAGES.c.parts).where(MESSAGES.c.conversation_id.in_(conversation_ids), MESSAGES.c.role == "user")
    )
    ids = {part["file_id"] for message in parts for part in message if "file_id" in part}
    return [file_id for file_id in sorted(ids) if not _is_shown(connection, file_id, conversation_ids)]


def _is_shown(connection: Connection, file_id: str, elsewhere_than: Sequence[str]) -> bool:
    """Looked for among its owner's messages; importers' files belong to nobody, and may be anybody's."""
    owner = select(FILES.c.voter_id).where(FILES.c.id == file_id).scalar_subquery()
    query = (
        select(MESSAGES.c.id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(
            CONVERSATIONS.c.id.not_in(elsewhere_than),
            MESSAGES.c.role == "user",
            (CONVERSATIONS.c.voter_id == owner) | owner.is_(None),
            sql_cast(MESSAGES.c.parts, String).contains(file_id, autoescape=True),
        )
    )
    return connection.execute(query.limit(1)).first() is not None


def erase_voter(connection: Connection, voter_id: str, at: float) -> None:
    theirs = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.voter_id == voter_id)
    erase_conversations(connection, [*connection.scalars(theirs)], at)
    connection.execute(delete(FILES).where(FILES.c.voter_id == voter_id))
    connection.execute(delete(CONSENTS).where(CONSENTS.c.voter_id == voter_id))
    connection.execute(update(FEEDBACK).where(FEEDBACK.c.voter_id == voter_id).values(voter_id=None, reasons=[]))
    connection.execute(
        update(VOTE_DETAILS).where(VOTE_DETAILS.c.voter_id == voter_id).values(**_NOBODY, salt=None, reasons=[])
    )
    connection.execute(update(VOTERS).where(VOTERS.c.id == voter_id).values(voter_key=None, login=None, erased_at=at))


def older(connection: Connection, arena: str, before: float, limit: int) -> list[str]:
    query = select(CONVERSATIONS.c.id).where(
        CONVERSATIONS.c.arena == arena, CONVERSATIONS.c.updated_at < before, CONVERSATIONS.c.erased_at.is_(None)
    )
    return [*connection.scalars(query.order_by(CONVERSATIONS.c.updated_at).limit(limit))]


def erase_unused_files(connection: Connection, before: float) -> int:
    """Files uploaded before then by people who have no conversation left."""
    theirs = (
        select(func.count())
        .where(CONVERSATIONS.c.voter_id == FILES.c.voter_id, CONVERSATIONS.c.erased_at.is_(None))
        .scalar_subquery()
    )
    return connection.execute(delete(FILES).where(FILES.c.uploaded_at < before, theirs == 0)).rowcount
