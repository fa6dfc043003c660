"""Run by Alembic, on the connection and in the transaction that `schema` hands over."""

from alembic import context

from fastchat.arena.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
