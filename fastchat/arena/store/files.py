"""Uploaded files, whole, in the database: they are backed up and erased with everything else."""

from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from fastchat.arena.store.people import check_not_erased
from fastchat.arena.store.rows import storable
from fastchat.arena.store.tables import FILES


class StoredFile(NamedTuple):
    content: bytes
    media_type: str
    voter_id: str | None  # whom it belongs to


def add(
    connection: Connection,
    file_id: str,
    voter_id: str,
    content: bytes,
    media_type: str,
    name: str,
    text: str | None,
    at: float,
) -> None:
    check_not_erased(connection, voter_id)
    row = {
        "id": file_id,
        "voter_id": voter_id,
        "media_type": media_type,
        "name": storable(name)[:256],
        "text": None if text is None else storable(text),
        "content": content,
        "uploaded_at": at,
    }
    connection.execute(insert(FILES), row)


def by_id(connection: Connection, file_id: str) -> StoredFile | None:
    query = select(FILES.c.content, FILES.c.media_type, FILES.c.voter_id).where(FILES.c.id == file_id)
    row = connection.execute(query).one_or_none()
    return StoredFile(*row) if row else None
