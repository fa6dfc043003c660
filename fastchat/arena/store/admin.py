"""What admins set and see: models of an arena, verdicts of moderators, and a note of every such act."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, desc, insert, select, update

from fastchat.arena.store.rows import storable_json
from fastchat.arena.store.tables import ADMIN_ACTIONS, CONVERSATIONS, JUDGEMENTS, MESSAGES, MODEL_SETTINGS


@dataclass(frozen=True, slots=True)
class Judgement:
    """A moderator's verdict, with what an admin needs to look at it."""

    judgement_id: str
    conversation_id: str
    message_id: str
    role: str  # user, assistant
    moderator: str
    categories: Any  # the moderator's own
    judged_at: float
    reviewed_by: str | None


@dataclass(frozen=True, slots=True)
class AdminAction:
    action_id: str
    login: str
    action: str
    subject: str
    details: Any  # what was done, as JSON
    done_at: float


def model_settings(connection: Connection, arena: str) -> dict[str, Mapping[str, Any]]:
    query = select(MODEL_SETTINGS.c.model, MODEL_SETTINGS.c.settings).where(MODEL_SETTINGS.c.arena == arena)
    return {row.model: row.settings for row in connection.execute(query)}


def set_model_settings(
    connection: Connection,
    arena: str,
    model: str,
    settings: Mapping[str, Any] | None,
    login: str,
    at: float,
) -> None:
    is_this = (MODEL_SETTINGS.c.arena == arena) & (MODEL_SETTINGS.c.model == model)
    connection.execute(delete(MODEL_SETTINGS).where(is_this))
    if settings is not None:
        row = {"arena": arena, "model": model, "settings": dict(settings), "changed_at": at, "changed_by": login}
        connection.execute(insert(MODEL_SETTINGS), row)


def note(connection: Connection, action: AdminAction) -> None:
    row = {
        "id": action.action_id,
        "login": action.login,
        "action": action.action,
        "subject": action.subject,
        "details": storable_json(action.details),
        "done_at": action.done_at,
    }
    connection.execute(insert(ADMIN_ACTIONS), row)


def actions(connection: Connection, limit: int) -> list[AdminAction]:
    query = select(ADMIN_ACTIONS).order_by(desc(ADMIN_ACTIONS.c.done_at), desc(ADMIN_ACTIONS.c.id)).limit(limit)
    return [AdminAction(*row) for row in connection.execute(query)]


def add_judgement(
    connection: Connection,
    judgement_id: str,
    message_id: str,
    moderator: str,
    is_flagged: bool,
    categories: Any,
    at: float,
) -> None:
    row = {
        "id": judgement_id,
        "message_id": message_id,
        "moderator": moderator,
        "is_flagged": is_flagged,
        "categories": storable_json(categories),
        "judged_at": at,
        "reviewed_by": None,
    }
    connection.execute(insert(JUDGEMENTS), row)


def flagged(connection: Connection, arena: str, *, is_reviewed: bool, limit: int) -> list[Judgement]:
    query = (
        select(
            JUDGEMENTS.c.id,
            MESSAGES.c.conversation_id,
            JUDGEMENTS.c.message_id,
            MESSAGES.c.role,
            JUDGEMENTS.c.moderator,
            JUDGEMENTS.c.categories,
            JUDGEMENTS.c.judged_at,
            JUDGEMENTS.c.reviewed_by,
        )
        .join(MESSAGES, MESSAGES.c.id == JUDGEMENTS.c.message_id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(CONVERSATIONS.c.arena == arena, JUDGEMENTS.c.is_flagged.is_(True))
        .where(JUDGEMENTS.c.reviewed_by.is_not(None) if is_reviewed else JUDGEMENTS.c.reviewed_by.is_(None))
        .order_by(desc(JUDGEMENTS.c.judged_at), desc(JUDGEMENTS.c.id))
        .limit(limit)
    )
    return [Judgement(*row) for row in connection.execute(query)]


def review(connection: Connection, judgement_id: str, login: str) -> None:
    connection.execute(update(JUDGEMENTS).where(JUDGEMENTS.c.id == judgement_id).values(reviewed_by=login))
