"""Conversations and their messages. Nothing that was said is overwritten: what is taken back is marked."""

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, case, desc, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fastchat.arena.records import Conversation, Mode, Outcome, Summary, Thumb, Turn
from fastchat.arena.store.people import check_not_erased
from fastchat.arena.store.rows import (
    Row,
    answer_row,
    battle_row,
    changing,
    conversation_of,
    conversation_row,
    question_row,
    storable,
)
from fastchat.arena.store.tables import BATTLES, CONVERSATIONS, FEEDBACK, MESSAGES, VOTE_DETAILS, VOTES


def begin(connection: Connection, conversation: Conversation, address_hash: str) -> None:
    if conversation.voter_id:
        check_not_erased(connection, conversation.voter_id)
    connection.execute(insert(CONVERSATIONS), conversation_row(conversation, address_hash))
    if conversation.battle:
        connection.execute(insert(BATTLES), battle_row(conversation.conversation_id, conversation.battle))
    for turn in conversation.turns:
        _insert_turn(connection, conversation.conversation_id, turn)


def add_turn(connection: Connection, conversation: Conversation, turn: Turn) -> None:
    if _change(connection, conversation):
        _insert_turn(connection, conversation.conversation_id, turn)


def _insert_turn(connection: Connection, conversation_id: str, turn: Turn) -> None:
    answers = [answer_row(conversation_id, turn, answer) for answer in turn.answers]
    connection.execute(insert(MESSAGES), [question_row(conversation_id, turn), *answers])


def save_answers(connection: Connection, conversation: Conversation, turn: Turn) -> None:
    if not _change(connection, conversation):
        return
    rows = [answer_row(conversation.conversation_id, turn, answer) for answer in turn.answers]
    of_turn = and_(
        MESSAGES.c.conversation_id == conversation.conversation_id,
        MESSAGES.c.turn == turn.number,
        MESSAGES.c.role == "assistant",
        MESSAGES.c.id.not_in([row["id"] for row in rows]),
    )
    connection.execute(update(MESSAGES).where(of_turn).values(is_superseded=True))
    for row in rows:
        _upsert_message(connection, row)


def _upsert_message(connection: Connection, row: dict[str, object]) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(MESSAGES).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=[MESSAGES.c.id], set_=row))


def _change(connection: Connection, conversation: Conversation) -> bool:
    """False: it was erased meanwhile, and nothing that comes late is kept."""
    is_this = and_(CONVERSATIONS.c.id == conversation.conversation_id, CONVERSATIONS.c.erased_at.is_(None))
    return connection.execute(update(CONVERSATIONS).where(is_this).values(changing(conversation))).rowcount > 0


def supersede(connection: Connection, conversation_id: str, from_turn: int) -> None:
    those = and_(MESSAGES.c.conversation_id == conversation_id, MESSAGES.c.turn >= from_turn)
    connection.execute(update(MESSAGES).where(those).values(is_superseded=True))


def rename(connection: Connection, conversation_id: str, title: str) -> None:
    _set(connection, conversation_id, title=storable(title))


def set_share_id(connection: Connection, conversation_id: str, share_id: str | None) -> None:
    _set(connection, conversation_id, share_id=share_id)


def _set(connection: Connection, conversation_id: str, **values: object) -> None:
    is_this = and_(CONVERSATIONS.c.id == conversation_id, CONVERSATIONS.c.erased_at.is_(None))
    connection.execute(update(CONVERSATIONS).where(is_this).values(**values))


def by_id(connection: Connection, conversation_id: str) -> Conversation | None:
    return _one(connection, CONVERSATIONS.c.id == conversation_id)


def by_message(connection: Connection, message_id: str) -> Conversation | None:
    of_message = select(MESSAGES.c.conversation_id).where(MESSAGES.c.id == message_id).scalar_subquery()
    return _one(connection, CONVERSATIONS.c.id == of_message)


def by_share_id(connection: Connection, share_id: str) -> Conversation | None:
    return _one(connection, CONVERSATIONS.c.share_id == share_id)


def _one(connection: Connection, condition: ColumnElement[bool]) -> Conversation | None:
    return next(iter(_filled(connection, select(CONVERSATIONS).where(condition))), None)


def _filled(connection: Connection, query: Select[tuple[object, ...]]) -> Iterator[Conversation]:
    """Four questions for any number of conversations."""
    rows = connection.execute(query).mappings().all()
    ids = [row["id"] for row in rows]
    messages: dict[str, list[Row]] = {conversation_id: [] for conversation_id in ids}
    for message in connection.execute(_messages(ids)).mappings():
        messages[message["conversation_id"]].append(message)
    thumbs = _thumbs(connection, ids)
    battles = {
        row["conversation_id"]: row
        for row in connection.execute(select(BATTLES).where(BATTLES.c.conversation_id.in_(ids))).mappings()
    }
    votes = {
        row["battle_id"]: row for row in connection.execute(_votes([row["id"] for row in battles.values()])).mappings()
    }
    for row in rows:
        battle = battles.get(row["id"])
        yield conversation_of(row, messages[row["id"]], thumbs, battle, votes.get(battle["id"]) if battle else None)


def _messages(conversation_ids: Sequence[str]) -> Select[tuple[object, ...]]:
    questions_first = case((MESSAGES.c.role == "user", 0), else_=1)
    return (
        select(MESSAGES)
        .where(MESSAGES.c.conversation_id.in_(conversation_ids), MESSAGES.c.is_superseded.is_(False))
        .order_by(MESSAGES.c.turn, questions_first)
    )


def _votes(battle_ids: Sequence[str]) -> Select[tuple[object, ...]]:
    return (
        select(VOTES, VOTE_DETAILS.c.reasons, VOTE_DETAILS.c.dwell_s)
        .join(VOTE_DETAILS, VOTE_DETAILS.c.vote_id == VOTES.c.id, isouter=True)
        .where(VOTES.c.battle_id.in_(battle_ids))
    )


def _thumbs(connection: Connection, conversation_ids: Sequence[str]) -> dict[str, Thumb]:
    query = (
        select(FEEDBACK.c.message_id, FEEDBACK.c.thumb)
        .join(MESSAGES, MESSAGES.c.id == FEEDBACK.c.message_id)
        .where(MESSAGES.c.conversation_id.in_(conversation_ids), FEEDBACK.c.thumb.is_not(None))
        .order_by(FEEDBACK.c.given_at)
    )
    return {row.message_id: Thumb(row.thumb) for row in connection.execute(query)}


def summaries(
    connection: Connection, voter_id: str, arena: str, search: str, before: float | None, limit: int
) -> list[Summary]:
    query = (
        select(
            CONVERSATIONS.c.id,
            CONVERSATIONS.c.mode,
            CONVERSATIONS.c.title,
            CONVERSATIONS.c.updated_at,
            VOTES.c.outcome,
        )
        .join(BATTLES, BATTLES.c.conversation_id == CONVERSATIONS.c.id, isouter=True)
        .join(VOTES, VOTES.c.battle_id == BATTLES.c.id, isouter=True)
        .where(CONVERSATIONS.c.voter_id == voter_id, CONVERSATIONS.c.arena == arena)
        .order_by(desc(CONVERSATIONS.c.updated_at), desc(CONVERSATIONS.c.id))
        .limit(limit)
    )
    if before is not None:
        query = query.where(CONVERSATIONS.c.updated_at < before)
    if search:
        query = query.where(_mentions(connection, storable(search)))
    return [
        Summary(row.id, Mode(row.mode), row.title, row.updated_at, row.outcome and Outcome(row.outcome))
        for row in connection.execute(query)
    ]


def _mentions(connection: Connection, words: str) -> ColumnElement[bool]:
    """In its title or in what was said: only in texts, not in the JSON around them."""
    if connection.dialect.name == "postgresql":
        part = func.json_array_elements(MESSAGES.c.parts).table_valued("value").alias("part")
        said = func.json_extract_path_text(part.c.value, "text")
    else:
        part = func.json_each(MESSAGES.c.parts).table_valued("value").alias("part")
        said = func.json_extract(part.c.value, "$.text")
    messages = (
        select(MESSAGES.c.id)
        .join_from(MESSAGES, part, said.icontains(words, autoescape=True))
        .where(MESSAGES.c.conversation_id == CONVERSATIONS.c.id, MESSAGES.c.is_superseded.is_(False))
    )
    return or_(CONVERSATIONS.c.title.icontains(words, autoescape=True), messages.exists())
