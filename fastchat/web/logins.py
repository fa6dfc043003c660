"""Who may open the page, where a file of logins was given."""

from pathlib import Path
from typing import NamedTuple

from fastchat.core.errors import SetupError


class Login(NamedTuple):
    user: str
    password: str


def read_logins(path: str) -> list[Login]:
    """FastChat's format: `user:password`, separated by commas or lines.

    Raises:
        SetupError: the file cannot be read, or an entry has no colon.
    """
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"--gradio-auth-path {path}: {error}.") from None
    entries = [entry.strip() for line in text.splitlines() for entry in line.split(",") if entry.strip()]
    if not entries:
        raise SetupError(f"--gradio-auth-path {path} is empty. Write USER:PASSWORD, one a line.")
    return [_login(entry, number, path) for number, entry in enumerate(entries, 1)]


def _login(entry: str, number: int, path: str) -> Login:
    user, colon, password = entry.partition(":")
    if not (user and colon and password):
        # The entry itself is not shown: it may be a password.
        raise SetupError(f"--gradio-auth-path {path}: entry {number} is not USER:PASSWORD.")
    return Login(user, password)
