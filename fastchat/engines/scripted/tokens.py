"""A tokenizer without a vocabulary: a token is up to four bytes of UTF-8, and its id spells them.

Pieces are cut without regard to characters, so a token often ends inside one, as in a real byte-level tokenizer.
"""

from collections.abc import Sequence

from fastchat.core.errors import InvalidRequest

PIECE = 4
_MARK = b"\x01"  # keeps leading zero bytes of a piece in the number


def pieces_of(text: str) -> list[bytes]:
    data = text.encode("utf-8", errors="replace")  # a lone surrogate is no text
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


def token_of(piece: bytes) -> int:
    return int.from_bytes(_MARK + piece)


def tokens_of(text: str) -> list[int]:
    return [token_of(piece) for piece in pieces_of(text)]


def piece_of(token: int) -> bytes:
    """
    Raises:
        InvalidRequest: no text has this token.
    """
    if token >= 0 and 1 < (size := (token.bit_length() + 7) // 8) <= PIECE + 1:
        data = token.to_bytes(size)
        if data.startswith(_MARK):
            return data[1:]
    raise InvalidRequest(f"There is no token {token}.", param="tokens")


def text_of(tokens: Sequence[int]) -> str:
    return b"".join(map(piece_of, tokens)).decode("utf-8", errors="replace")
