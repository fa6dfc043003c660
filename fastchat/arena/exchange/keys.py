"""How people of FastChat's logs are called here: by a keyed hash of their address, as our own voters' addresses are."""

import ipaddress

from fastchat.access.addresses import address_hash
from fastchat.access.secret import keyed_hash
from fastchat.arena.exchange.importing import Keys


def keys_of(secret: bytes) -> Keys:
    def hash_of(address: str) -> str:
        try:
            return address_hash(ipaddress.ip_address(address), secret)
        except ValueError:
            return keyed_hash(secret, "address", address)

    return Keys(hash_of, lambda known: keyed_hash(secret, "voter", f"address {known}"))
