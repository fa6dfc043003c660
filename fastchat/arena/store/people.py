"""Voters: who they are, as far as we know, what they agreed to, what they think of messages."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, desc, insert, select, update

from fastchat.arena.records import Consent, Thumb
from fastchat.arena.store.rows import storable_json
from fastchat.arena.store.tables import (
    CONSENTS,
    CONVERSATIONS,
    FEEDBACK,
    FILES,
    MESSAGES,
    VOTE_DETAILS,
    VOTERS,
    VOTES,
)
from fastchat.core.errors import NotFound


def known_voter(connection: Connection, voter_key: str, login: str | None) -> str | None:
    """None also where the login is not noted yet."""
    row = connection.execute(select(VOTERS.c.id, VOTERS.c.login).where(VOTERS.c.voter_key == voter_key)).one_or_none()
    return row.id if row and (login is None or row.login == login) else None


def voter(connection: Connection, voter_key: str, login: str | None, voter_id: str, now: float) -> str:
    """The voter with this key; made with this id if there is none."""
    known = connection.execute(select(VOTERS.c.id).where(VOTERS.c.voter_key == voter_key)).scalar_one_or_none()
    if known is None:
        row = {"id": voter_id, "voter_key": voter_key, "login": login, "created_at": now, "erased_at": None}
        connection.execute(insert(VOTERS), row)
        return voter_id
    if login is not None:
        connection.execute(update(VOTERS).where(VOTERS.c.id == known).values(login=login))
    return str(known)


def check_not_erased(connection: Connection, voter_id: str) -> None:
    """What comes in while somebody's data are deleted would stay behind, with nobody to delete it.

    Raises:
        NotFound: this voter is gone.
    """
    query = select(VOTERS.c.id).where(VOTERS.c.id == voter_id, VOTERS.c.erased_at.is_not(None))
    if connection.execute(query).first():
        raise NotFound("The data of this visitor were deleted. Load the page anew to begin again.")


def consent(connection: Connection, voter_id: str, arena: str) -> Consent | None:
    query = select(CONSENTS).where(CONSENTS.c.voter_id == voter_id, CONSENTS.c.arena == arena)
    row = connection.execute(query.order_by(desc(CONSENTS.c.given_at), desc(CONSENTS.c.id)).limit(1)).one_or_none()
    return Consent(row.version, row.given_at, row.may_publish) if row else None


def add_consent(connection: Connection, consent_id: str, voter_id: str, arena: str, consent: Consent) -> None:
    check_not_erased(connection, voter_id)
    row = {
        "id": consent_id,
        "voter_id": voter_id,
        "arena": arena,
        "version": consent.version,
        "may_publish": consent.may_publish,
        "given_at": consent.given_at,
    }
    connection.execute(insert(CONSENTS), row)


def rate(
    connection: Connection,
    feedback_id: str,
    message_id: str,
    voter_id: str,
    thumb: Thumb | None,
    reasons: Sequence[str],
    at: float,
) -> None:
    """One opinion a voter and message; the newest."""
    check_not_erased(connection, voter_id)
    theirs = (FEEDBACK.c.message_id == message_id) & (FEEDBACK.c.voter_id == voter_id)
    opinion = {"thumb": thumb and thumb.value, "reasons": storable_json(list(reasons)), "given_at": at}
    if not connection.execute(update(FEEDBACK).where(theirs).values(opinion)).rowcount:
        row = {"id": feedback_id, "message_id": message_id, "voter_id": voter_id, **opinion}
        connection.execute(insert(FEEDBACK), row)


def everything_of(connection: Connection, voter_id: str) -> Mapping[str, Any]:
    """All rows that are theirs, by table; bytes as base64."""
    theirs = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.voter_id == voter_id)
    votes = _rows(connection, VOTE_DETAILS, VOTE_DETAILS.c.voter_id == voter_id)
    return {
        "voter": _rows(connection, VOTERS, VOTERS.c.id == voter_id),
        "consents": _rows(connection, CONSENTS, CONSENTS.c.voter_id == voter_id),
        "conversations": _rows(connection, CONVERSATIONS, CONVERSATIONS.c.voter_id == voter_id),
        "messages": _rows(connection, MESSAGES, MESSAGES.c.conversation_id.in_(theirs)),
        "votes": _rows(connection, VOTES, VOTES.c.id.in_([vote["vote_id"] for vote in votes])),
        "vote_details": votes,
        "feedback": _rows(connection, FEEDBACK, FEEDBACK.c.voter_id == voter_id),
        "files": _rows(connection, FILES, FILES.c.voter_id == voter_id),
    }


def _rows(connection: Connection, table: Table, condition: ColumnElement[bool]) -> list[dict[str, Any]]:
    key = [*table.primary_key.columns]
    rows = connection.execute(select(table).where(condition).order_by(*key)).mappings()
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
