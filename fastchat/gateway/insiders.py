"""Who may read the metrics of a gateway that shows an arena as well.

Counts of single models, read before and after a question, tell who answered it. So with a page behind it the gateway
shows them to callers of this machine, of networks that were named, and with one of its keys; without a page to all.
"""

from collections.abc import Iterable

from starlette.types import Scope

from fastchat.access.addresses import TrustedProxies
from fastchat.access.keys import KeyRing, shown_key
from fastchat.core.errors import PermissionDenied
from fastchat.core.http import header

_SAYS_OF_OTHERS = (b"x-forwarded-for", b"forwarded", b"x-real-ip")


class Insiders:
    def __init__(self, ring: KeyRing, *, proxies: TrustedProxies | None = None, networks: Iterable[str] = ()) -> None:
        """
        Raises:
            SetupError: one of the networks is none.
        """
        self._ring = ring
        self._proxies = proxies or TrustedProxies()
        self._inside = TrustedProxies.parse(["loopback", *networks])

    def check(self, scope: Scope) -> None:
        """
        Raises:
            PermissionDenied: the caller is from outside, and shows no key.
        """
        if self._is_inside(scope) or self._ring.owner(shown_key(scope)) is not None:
            return
        raise PermissionDenied(
            "Metrics tell which model is at work, which battles hide. Read them on this machine, show an API key, or "
            "name your network with --metrics-from."
        )

    def _is_inside(self, scope: Scope) -> bool:
        # A proxy that nobody named speaks for somebody else, who may be anywhere.
        is_passed_on = any(header(scope, name) is not None for name in _SAYS_OF_OTHERS)
        if is_passed_on and not self._proxies.trusts_peer(scope):
            return False
        client = self._proxies.client(scope)
        return client is None or self._inside.trusts(client)
