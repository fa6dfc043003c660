"""Google's own logins, taken from the machine when an entry brings no key."""

from urllib.parse import urlsplit

from fastchat.core.errors import SetupError


def check_is_googles(url: str) -> None:
    """This machine's login is shown to Google and to nobody else, whoever announced the address.

    Raises:
        SetupError: the address is not one of Google's.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not (parts.hostname or "").endswith(".googleapis.com"):
        raise SetupError(
            f"The login of this machine is not sent to {parts.hostname}, which is not Google's. "
            "Give an access token as api_key."
        )
