"""The machine's own login at a provider, which is taken when an entry brings no key."""

from urllib.parse import urlsplit

from fastchat.core.errors import SetupError

GOOGLE = (".googleapis.com",)
AMAZON = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def check_is_theirs(url: str, domains: tuple[str, ...]) -> None:
    """The login is shown to its provider and to nobody else, whoever announced the address.

    Raises:
        SetupError: the address is not one of the provider's.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not (parts.hostname or "").endswith(domains):
        raise SetupError(
            f"The login of this machine is not sent to {parts.scheme}://{parts.hostname}, "
            f"but only to https://…{domains[0]}. Give a key as api_key."
        )
