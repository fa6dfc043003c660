"""Ids that sort by the time they were made: RFC 9562's version 7, which Python 3.11's `uuid` does not make."""

import secrets
from collections.abc import Callable
from uuid import UUID

RandomBits = Callable[[int], int]


def new_id(now: float, random_bits: RandomBits = secrets.randbits) -> str:
    """`now` is UTC in seconds. 74 bits are random, so an id of one thing tells nothing about another's."""
    milliseconds = int(now * 1000) & (2**48 - 1)
    bits = milliseconds << 80 | 0x7 << 76 | random_bits(12) << 64 | 0b10 << 62 | random_bits(62)
    return str(UUID(int=bits))
