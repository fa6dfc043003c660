"""Where an arena's store and keys are, for commands that read them beside the page."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.places import data_dir
from fastchat.core.settings import Settings, setting

if TYPE_CHECKING:
    from fastchat.arena.transparency.heads import LogKey, Signer


class StoreSettings(Settings):
    """Where the arena's data are; the page's environment variables, so that both mean the same store."""

    model_config = SettingsConfigDict(env_prefix="FASTCHAT_WEB_")
    database_url: str | None = setting(None, "where conversations and votes are kept; a file in --data-dir if unset")
    data_dir: Path | None = setting(None, "folder of the database and the keys; FASTCHAT_DATA_DIR if unset")

    @property
    def folder(self) -> Path:
        return self.data_dir or data_dir()

    @property
    def address(self) -> str:
        from fastchat.web.process import DATABASE

        return self.database_url or str(self.folder / DATABASE)

    def signer(self) -> "Signer":
        """Made if there is none."""
        from fastchat.arena.transparency.heads import Signer
        from fastchat.web.process import LOG_KEY

        return Signer.load(self.folder / LOG_KEY)

    def known_signer(self) -> "Signer":
        """Of an arena that is there already.

        Raises:
            SetupError: there is no key.
        """
        from fastchat.arena.transparency.heads import Signer
        from fastchat.web.process import LOG_KEY

        file = self.folder / LOG_KEY
        if not file.exists():
            raise SetupError(
                f"There is no key of an arena at {file}. Give the folder of its data with --data-dir; to 'verify', the "
                "log's --public-key will do."
            )
        return Signer.load(file)

    def public_key(self) -> "LogKey":
        """
        Raises:
            SetupError: there is no key that it could be derived from.
        """
        return self.known_signer().public

    def secret(self) -> bytes:
        from fastchat.access.secret import load_key
        from fastchat.web.process import SECRET

        return load_key(self.folder / SECRET)
