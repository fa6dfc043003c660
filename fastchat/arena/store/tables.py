"""The tables. A change here needs a migration beside it; a test compares the two.

Votes are appended and never changed. What can be erased (who voted, what was said, the salt of the digest) stands in
rows of its own, so that the log of votes stays whole when a person leaves.

Times are seconds since 1970 in UTC, ids are time-ordered UUIDs as text.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

VOTERS = Table(
    "voters",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("voter_key", String(64), unique=True),  # keyed hash of a cookie or login; null once erased
    Column("login", String(256)),  # null for guests
    Column("created_at", Float, nullable=False),
    Column("erased_at", Float),
)

CONSENTS = Table(
    "consents",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("voter_id", ForeignKey("voters.id"), nullable=False, index=True),
    Column("arena", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("may_publish", Boolean, nullable=False),
    Column("given_at", Float, nullable=False),
)

CONVERSATIONS = Table(
    "conversations",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("arena", String(64), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("voter_id", ForeignKey("voters.id")),  # null once erased
    Column("models", JSON, nullable=False),  # names, left first; empty until drawn
    Column("title", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("sampling", JSON, nullable=False),
    Column("category", String(128)),
    Column("language", String(35)),  # BCP 47
    Column("marks", JSON, nullable=False),
    Column("share_id", String(43), unique=True),
    Column("address_hash", String(64)),
    Column("details", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("erased_at", Float),  # its texts are gone
    Index(None, "voter_id", "arena", "updated_at"),
    Index(None, "arena", "updated_at"),
)

MESSAGES = Table(
    "messages",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("conversation_id", ForeignKey("conversations.id"), nullable=False),
    Column("turn", Integer, nullable=False),
    Column("role", String(16), nullable=False),  # user | assistant
    Column("side", String(8)),  # of answers
    Column("attempt", Integer, nullable=False),
    Column("model", String(256)),
    Column("parts", JSON, nullable=False),  # typed: text, image, audio, video, file
    Column("reasoning", Text, nullable=False),
    Column("ending", String(16)),
    Column("error", Text, nullable=False),
    Column("is_after_vote", Boolean, nullable=False),
    Column("is_superseded", Boolean, nullable=False),  # regenerated, or a question before it was edited
    Column("first_token_s", Float),
    Column("duration_s", Float),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("created_at", Float, nullable=False),
    Index(None, "conversation_id", "turn"),
)

BATTLES = Table(
    "battles",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("conversation_id", ForeignKey("conversations.id"), nullable=False, unique=True),
    Column("model_a", String(256), nullable=False),  # left
    Column("model_b", String(256), nullable=False),
    Column("probability", Float, nullable=False),  # of the unordered pair when it was drawn
    Column("policy", String(32), nullable=False),
    Column("drawn_at", Float, nullable=False),
)

VOTES = Table(
    "votes",
    METADATA,
    Column("leaf_index", Integer, primary_key=True, autoincrement=False),  # place in the transparency log
    Column("id", String(36), nullable=False, unique=True),
    Column("battle_id", String(36), nullable=False, unique=True),
    Column("arena", String(64), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("model_a", String(256), nullable=False),
    Column("model_b", String(256), nullable=False),
    Column("probability", Float, nullable=False),
    Column("cast_at", Float, nullable=False),
    Column("digest", String(64), nullable=False),  # salted, of what can be erased
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Index(None, "arena", "leaf_index"),
)

VOTE_DETAILS = Table(
    "vote_details",
    METADATA,
    Column("vote_id", ForeignKey("votes.id"), primary_key=True),
    Column("conversation_id", ForeignKey("conversations.id")),
    Column("voter_id", ForeignKey("voters.id"), index=True),
    Column("address_hash", String(64)),
    Column("salt", LargeBinary(32)),
    Column("reasons", JSON, nullable=False),
    Column("marks", JSON, nullable=False),
    Column("dwell_s", Float),
)

TREE_HEADS = Table(
    "tree_heads",
    METADATA,
    Column("tree_size", Integer, primary_key=True, autoincrement=False),
    Column("root_hash", LargeBinary(32), nullable=False),
    Column("signed_at", Float, nullable=False),
    Column("log_id", String(64), nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("message_id", ForeignKey("messages.id"), nullable=False, index=True),
    Column("voter_id", ForeignKey("voters.id")),
    Column("thumb", String(16)),  # null: taken back
    Column("reasons", JSON, nullable=False),
    Column("given_at", Float, nullable=False),
)

JUDGEMENTS = Table(
    "judgements",  # of moderators
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("message_id", ForeignKey("messages.id"), nullable=False, index=True),
    Column("moderator", Text, nullable=False),
    Column("is_flagged", Boolean, nullable=False),
    Column("categories", JSON, nullable=False),
    Column("judged_at", Float, nullable=False),
    Column("reviewed_by", String(256)),
)

FILES = Table(
    "files",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("voter_id", ForeignKey("voters.id"), index=True),
    Column("media_type", String(128), nullable=False),
    Column("name", String(256), nullable=False),
    Column("text", Text),
    Column("content", LargeBinary, nullable=False),
    Column("uploaded_at", Float, nullable=False),
)

MODEL_SETTINGS = Table(
    "model_settings",  # what an admin set while it runs; it wins over the configuration
    METADATA,
    Column("arena", String(64), primary_key=True),
    Column("model", String(256), primary_key=True),
    Column("settings", JSON, nullable=False),
    Column("changed_at", Float, nullable=False),
    Column("changed_by", String(256), nullable=False),
)

ADMIN_ACTIONS = Table(
    "admin_actions",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("login", String(256), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("done_at", Float, nullable=False),
)
