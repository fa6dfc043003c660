"""Brings a database's tables to this version, or says why it cannot. Alembic does the work, from `migrations`."""

from pathlib import Path

from alembic.command import upgrade
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from fastchat.core.errors import SetupError

_FOLDER = Path(__file__).parent / "migrations"


def bring_up_to_date(connection: Connection, name: str) -> bool:
    """Inside a transaction of the owner: all of it or nothing. False: nothing had to be done.

    Raises:
        SetupError: another program's tables, or those of a newer version of ours, are in there.
    """
    if is_current(connection, name):
        return False
    config = _config()
    config.attributes["connection"] = connection
    upgrade(config, "head")
    return True


def is_current(connection: Connection, name: str) -> bool:
    """
    Raises:
        SetupError: as above.
    """
    scripts = ScriptDirectory.from_config(_config())
    stored, newest = MigrationContext.configure(connection).get_current_revision(), scripts.get_current_head()
    if stored is None:
        tables = inspect(connection).get_table_names()
        if tables:
            shown = ", ".join(sorted(tables)[:5])
            raise SetupError(f"The database {name} holds tables of another program: {shown}. Give an empty one.")
        return False
    if stored not in {script.revision for script in scripts.walk_revisions()}:
        raise SetupError(
            f"The arena's database {name} was written by a newer FastChat: its tables are of version {stored}, and "
            f"this program knows them up to {newest}. Install the newer FastChat, or restore a backup made by this one."
        )
    return stored == newest


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
