"""What the pickers offer."""

from collections.abc import Sequence
from hashlib import blake2b

from fastchat.web.texts import Texts

Choice = tuple[str, str]  # what the picker shows, and what it stands for


def choices(
    names: Sequence[str], chosen: str | None, texts: Texts, *, keep: bool, first: int = 0
) -> tuple[list[Choice], str]:
    """What a picker offers and has chosen. `keep`: a conversation is under way, so a model that left stays chosen.

    `first` is the place in the list of what is chosen where nothing was: two pickers begin with two models.
    """
    live = [(name, name) for name in names]
    if chosen in names:
        return live, chosen or ""
    if chosen and keep:
        return [(texts("not_running", model=chosen), chosen), *live], chosen
    return (live, names[min(first, len(names) - 1)]) if live else ([(texts("no_model"), "")], "")


def version_of(names: Sequence[str]) -> str:
    """Changes when the list does, and tells nothing of it."""
    return blake2b("\n".join(names).encode(), digest_size=8).hexdigest()
