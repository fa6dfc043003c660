"""Terms of use: an arena's own, or ours with what holds there filled in. Ours are in English."""

from dataclasses import dataclass

from markdown_it import MarkdownIt

from fastchat.arena.config import ArenaConfig
from fastchat.core.errors import SetupError
from fastchat.web.packaged import packaged


@dataclass(frozen=True, slots=True)
class Terms:
    version: str
    text: str  # Markdown
    language: str = ""  # empty: the operator knows

    @property
    def html(self) -> str:
        return markdown(self.text)


def read_terms(config: ArenaConfig) -> Terms:
    """
    Raises:
        SetupError: the arena's own cannot be read.
    """
    if config.terms is None:
        return Terms(config.terms_version, _ours(config), "en")
    try:
        return Terms(config.terms_version, config.terms.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"The terms of use {config.terms} cannot be read: {error}.") from None


def _ours(config: ArenaConfig) -> str:
    retention = f" and erased after {config.retention_days} days" if config.retention_days else ""
    publishing = (
        "Conversations may be published for research, with names and the like removed as far as programs find them: "
        "yours only if you agree when you are asked."
        if config.publishes
        else "Conversations are not published."
    )
    return packaged("terms.md").format(retention=retention, publishing=publishing)


def markdown(text: str) -> str:
    """HTML without anything that runs or is loaded: the text may be anybody's."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    rendered: str = reader.disable("image").render(text)
    return rendered
