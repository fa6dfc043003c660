"""Where a call comes from. What a header says of it is believed only if a trusted proxy wrote it.

    X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.2      from peer 10.0.0.1, with 10.0.0.0/8 trusted
                     made up  the client   a proxy

Each proxy adds its own peer on the right; so we walk from the right, and the first address that is no trusted proxy is
the client. All to its left is the client's own word. With no trusted networks, the default, the peer is the client.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self, TypeAlias

from starlette.types import Scope

from fastchat.access.secret import keyed_hash
from fastchat.core.errors import SetupError
from fastchat.core.http import header

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1/128")
PRIVATE = (*LOOPBACK, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
_NAMED = {"loopback": LOOPBACK, "private": PRIVATE}

FORWARDED_FOR, FORWARDED = "x-forwarded-for", "forwarded"

_WITH_PORT = re.compile(r"\[(?P<six>[^\]]*)\](?::\d+)?|(?P<four>[\d.]+):\d+")
_HOST = re.compile(r"[\w.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?", re.ASCII)


class Origin(NamedTuple):
    """What stands in the browser's address bar, before the path."""

    scheme: str
    host: str  # with the port, if one is shown

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"


class _Hop(NamedTuple):
    """What one proxy said of its peer."""

    address: Address | None
    scheme: str | None
    host: str | None


class TrustedProxies:
    """Whose word on a client's address is believed.

    `address_header` names the header that they write: `x-forwarded-for`, `forwarded` (RFC 7239), or one that holds a
    single address, such as `cf-connecting-ip` or `x-real-ip`. Of the last kind one must be sure that every trusted
    proxy overwrites it: whoever gets past the first proxy could send it himself.
    """

    def __init__(self, networks: Sequence[Network] = (), *, address_header: str = FORWARDED_FOR) -> None:
        self._networks = tuple(networks)
        self._address_header = address_header.lower()

    @classmethod
    def parse(cls, names: Iterable[str], *, address_header: str = FORWARDED_FOR) -> Self:
        """From CIDR, single addresses, and the names `loopback` and `private`.

        Raises:
            SetupError: one of them is none of these.
        """
        written = [part for name in names for part in _NAMED.get(name.strip().lower(), (name.strip(),))]
        return cls([_network(part) for part in written], address_header=address_header)

    def trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def trusts_peer(self, scope: Scope) -> bool:
        return self.trusts(_peer(scope))

    def client(self, scope: Scope) -> Address | None:
        """The client's address; None if the connection has none, as on a Unix socket."""
        return self._seen(scope).address

    def origin(self, scope: Scope) -> Origin:
        """The page's own address, as the browser knows it."""
        seen = self._seen(scope)
        scheme = (seen.scheme or "").lower()
        own = (header(scope, b"host") or b"").decode("latin-1")
        hosts = [host for host in (seen.host, own) if host and _HOST.fullmatch(host)]
        return Origin(scheme if scheme in ("http", "https") else scope["scheme"], hosts[0] if hosts else "localhost")

    def _seen(self, scope: Scope) -> _Hop:
        seen = _Hop(_peer(scope), None, None)
        if not self.trusts(seen.address):
            return seen
        hops = self._forwarded(scope) if self._address_header == FORWARDED else self._x_forwarded(scope)
        for hop in reversed(hops):
            # Many proxies pass on what the first of them said of scheme and host, so that stands until one says more.
            seen = _Hop(hop.address or seen.address, hop.scheme or seen.scheme, hop.host or seen.host)
            if hop.address is None or not self.trusts(hop.address):
                break
        return seen

    def _x_forwarded(self, scope: Scope) -> list[_Hop]:
        addresses = _listed(scope, FORWARDED_FOR)
        if self._address_header != FORWARDED_FOR:
            given = _listed(scope, self._address_header)
            addresses = given if len(given) == 1 else addresses
        addresses = addresses or [""]  # a proxy may tell the scheme only
        size = len(addresses)
        schemes, hosts = (_aligned(_listed(scope, f"x-forwarded-{what}"), size) for what in ("proto", "host"))
        return [_Hop(parse_address(text), *about) for text, *about in zip(addresses, schemes, hosts, strict=True)]

    def _forwarded(self, scope: Scope) -> list[_Hop]:
        # `for=192.0.2.60;proto=http, for="[2001:db8::1]:4711"`. A comma inside quotes is no element's end, says the
        # RFC; but addresses and hosts have none, and a quote that a client left open must not swallow a proxy's word.
        hops = []
        for element in _listed(scope, FORWARDED):
            pairs = (pair.partition("=") for pair in element.split(";"))
            said = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
            hops.append(_Hop(parse_address(said.get("for", "")), said.get("proto"), said.get("host")))
        return hops


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SetupError(
            f"Trusted proxies: {text!r} is no network. Write CIDR (10.0.0.0/8), an address, 'loopback' or 'private'."
        ) from None
    if network.prefixlen == 0:
        raise SetupError(
            f"Trusted proxies: {text!r} is everybody, so that anybody could claim any address. Name yours."
        )
    return network


def _peer(scope: Scope) -> Address | None:
    return parse_address(scope["client"][0]) if scope.get("client") else None


def _listed(scope: Scope, name: str) -> list[str]:
    """The values of a header that may stand on several lines, each with several values."""
    wanted = name.encode("latin-1")
    lines = [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]
    return [value.strip() for line in lines for value in line.split(",") if value.strip()]


def _aligned(values: list[str], size: int) -> list[str | None]:
    """One value a hop. Where there are fewer, somebody passed on another's word: then the first counts for the rest."""
    if not values:
        return [None] * size
    return [*values[:1] * (size - len(values)), *values[-size:]]


def parse_address(text: str) -> Address | None:
    """An address with or without port, brackets and zone; None if it is anything else."""
    text = text.strip().strip('"')
    found = _WITH_PORT.fullmatch(text)
    if found:
        text = found["six"] or found["four"] or ""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A socket that listens on both kinds shows IPv4 peers as ::ffff:a.b.c.d.
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


def household(address: Address | None) -> str:
    """Whom an address stands for: IPv6 hands every household 2^64 of them, so there it is the /64."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return "unknown" if address is None else str(address)


def address_hash(address: Address | None, key: bytes) -> str:
    """What is kept in place of an address: HMAC-SHA256 of its household, the first 128 bits in hex.

    Without the key nobody finds the address by trying all 2^32 of them; who has the key can, so it is kept apart from
    whatever is published. With another key the same address has another hash.
    """
    return keyed_hash(key, "address", household(address))
