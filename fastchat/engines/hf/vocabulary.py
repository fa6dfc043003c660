"""Tokens as the bytes they stand for: exact, also where a token is half a character."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from fastchat.core.errors import InvalidRequest

_SPACE = "▁"  # how SentencePiece writes it


class Vocabulary:
    def __init__(self, tokenizer: Any, size: int) -> None:
        """`size` is how many logits the model has, which may be more than there are tokens, or fewer."""
        self.size = size
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        self._special = frozenset(token for token, entry in added.items() if entry.special)
        spelled = _spelling(tokenizer)
        names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self._pieces = [
            added[token].content.encode() if token in added else b"" if name is None else spelled(name)
            for token, name in enumerate(names)
        ]
        self._pieces += [b""] * (size - len(self._pieces))
        # SentencePiece puts a space before a text, and takes it away when it decodes.
        alone = tokenizer.encode("a", add_special_tokens=False)
        self._begins_with_space = b"".join(self._pieces[token] for token in alone) == b" a"

    def encode(self, text: str, *, add_special: bool) -> list[int]:
        # Half a pair of surrogates, which JSON can hold, is no text.
        text = text.encode("utf-8", "replace").decode()
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=add_special)
        return tokens

    def spell(self, tokens: Sequence[int]) -> str:
        """The text that tokens stand for, special ones included."""
        text = b"".join(self._pieces[token] for token in tokens)
        return (text.removeprefix(b" ") if self._begins_with_space else text).decode("utf-8", "replace")

    def text_of(self, token: int) -> bytes:
        """What an answer shows of a token: nothing of those that only steer the model."""
        return b"" if token in self._special else self._pieces[token]

    def name_of(self, token: int) -> bytes:
        return self._pieces[token]

    def check(self, tokens: Iterable[int], *, param: str) -> None:
        """
        Raises:
            InvalidRequest: an id is none of this model's.
        """
        for token in tokens:
            if not 0 <= token < self.size:
                raise InvalidRequest(f"This model has no token {token}.", param=param)


def _spelling(tokenizer: Any) -> Any:
    """How this tokenizer writes bytes: token → bytes."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = json.loads(backend.to_str())["decoder"] if backend is not None else None
    kinds = set(_kinds(decoder))
    if "ByteLevel" in kinds:
        return _ByteLevel()
    if decoder is None or kinds & {"Metaspace", "ByteFallback", "Replace"}:
        return _sentence_piece
    if "WordPiece" in kinds:
        return _word_piece
    return str.encode


def _kinds(decoder: Any) -> Iterable[str]:
    if decoder is not None:
        yield decoder["type"]
        for part in decoder.get("decoders", ()):
            yield from _kinds(part)


class _ByteLevel:
    """GPT-2's way: each byte is a printable character; those that are none begin at U+0100."""

    def __init__(self) -> None:
        printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
        others = [byte for byte in range(256) if byte not in printable]
        self._bytes = {chr(byte): byte for byte in printable}
        self._bytes |= {chr(256 + number): byte for number, byte in enumerate(others)}

    def __call__(self, name: str) -> bytes:
        if all(char in self._bytes for char in name):
            return bytes(self._bytes[char] for char in name)
        return name.encode()


def _sentence_piece(name: str) -> bytes:
    if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
        return bytes([int(name[3:5], 16)])
    return name.replace(_SPACE, " ").encode()


def _word_piece(name: str) -> bytes:
    return name.removeprefix("##").encode() if name.startswith("##") else f" {name}".encode()
