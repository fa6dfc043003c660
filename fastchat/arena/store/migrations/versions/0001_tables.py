"""The tables as they began."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "admin_actions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("login", sa.String(length=256), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("done_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_admin_actions"),
    )
    op.create_table(
        "model_settings",
        sa.Column("arena", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("changed_by", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("arena", "model", name="pk_model_settings"),
    )
    op.create_table(
        "tree_heads",
        sa.Column("tree_size", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("root_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("signed_at", sa.Float(), nullable=False),
        sa.Column("log_id", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tree_size", name="pk_tree_heads"),
    )
    op.create_table(
        "voters",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("voter_key", sa.String(length=64), nullable=True),
        sa.Column("login", sa.String(length=256), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("erased_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_voters"),
        sa.UniqueConstraint("voter_key", name="uq_voters_voter_key"),
    )
    op.create_table(
        "votes",
        sa.Column("leaf_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("battle_id", sa.String(length=36), nullable=False),
        sa.Column("arena", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("model_a", sa.String(length=256), nullable=False),
        sa.Column("model_b", sa.String(length=256), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("cast_at", sa.Float(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index", name="pk_votes"),
        sa.UniqueConstraint("battle_id", name="uq_votes_battle_id"),
        sa.UniqueConstraint("id", name="uq_votes_id"),
    )
    op.create_index("ix_votes_arena_leaf_index", "votes", ["arena", "leaf_index"], unique=False)
    op.create_table(
        "consents",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("voter_id", sa.String(length=36), nullable=False),
        sa.Column("arena", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("may_publish", sa.Boolean(), nullable=False),
        sa.Column("given_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name="fk_consents_voter_id_voters"),
        sa.PrimaryKeyConstraint("id", name="pk_consents"),
    )
    op.create_index("ix_consents_voter_id", "consents", ["voter_id"], unique=False)
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("arena", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("voter_id", sa.String(length=36), nullable=True),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("category", sa.String(length=128), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("share_id", sa.String(length=43), nullable=True),
        sa.Column("address_hash", sa.String(length=64), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("erased_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name="fk_conversations_voter_id_voters"),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sa.UniqueConstraint("share_id", name="uq_conversations_share_id"),
    )
    op.create_index("ix_conversations_arena_updated_at", "conversations", ["arena", "updated_at"], unique=False)
    op.create_index(
        "ix_conversations_voter_id_arena_updated_at", "conversations", ["voter_id", "arena", "updated_at"], unique=False
    )
    op.create_table(
        "files",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("voter_id", sa.String(length=36), nullable=True),
        sa.Column("media_type", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name="fk_files_voter_id_voters"),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_voter_id", "files", ["voter_id"], unique=False)
    op.create_table(
        "battles",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("conversation_id", sa.String(length=36), nullable=False),
        sa.Column("model_a", sa.String(length=256), nullable=False),
        sa.Column("model_b", sa.String(length=256), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("drawn_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_battles_conversation_id_conversations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_battles"),
        sa.UniqueConstraint("conversation_id", name="uq_battles_conversation_id"),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("conversation_id", sa.String(length=36), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=256), nullable=True),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("reasoning", sa.Text(), nullable=False),
        sa.Column("ending", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("is_after_vote", sa.Boolean(), nullable=False),
        sa.Column("is_superseded", sa.Boolean(), nullable=False),
        sa.Column("first_token_s", sa.Float(), nullable=True),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_messages_conversation_id_conversations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
    )
    op.create_index("ix_messages_conversation_id_turn", "messages", ["conversation_id", "turn"], unique=False)
    op.create_table(
        "vote_details",
        sa.Column("vote_id", sa.String(length=36), nullable=False),
        sa.Column("conversation_id", sa.String(length=36), nullable=True),
        sa.Column("voter_id", sa.String(length=36), nullable=True),
        sa.Column("address_hash", sa.String(length=64), nullable=True),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("dwell_s", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_vote_details_conversation_id_conversations"
        ),
        sa.ForeignKeyConstraint(["vote_id"], ["votes.id"], name="fk_vote_details_vote_id_votes"),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name="fk_vote_details_voter_id_voters"),
        sa.PrimaryKeyConstraint("vote_id", name="pk_vote_details"),
    )
    op.create_index("ix_vote_details_voter_id", "vote_details", ["voter_id"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("voter_id", sa.String(length=36), nullable=True),
        sa.Column("thumb", sa.String(length=16), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("given_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_feedback_message_id_messages"),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name="fk_feedback_voter_id_voters"),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_message_id", "feedback", ["message_id"], unique=False)
    op.create_table(
        "judgements",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("moderator", sa.Text(), nullable=False),
        sa.Column("is_flagged", sa.Boolean(), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("judged_at", sa.Float(), nullable=False),
        sa.Column("reviewed_by", sa.String(length=256), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_judgements_message_id_messages"),
        sa.PrimaryKeyConstraint("id", name="pk_judgements"),
    )
    op.create_index("ix_judgements_message_id", "judgements", ["message_id"], unique=False)
