"""What the loaded model is like, as its process described it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastchat.core.errors import InvalidRequest
from fastchat.engines.openvino.settings import HostSettings
from fastchat.engines.openvino.template import ChatTemplate


@dataclass(frozen=True, slots=True)
class Model:
    context_length: int
    slots: int
    pieces: Sequence[bytes]  # of each token
    special: frozenset[int]  # tokens that are no text
    template: ChatTemplate | None

    def check_tokens(self, tokens: Iterable[int], *, param: str) -> None:
        """
        Raises:
            InvalidRequest: an id is none of this model's. The library would read whatever lies behind its table.
        """
        for token in tokens:
            if not 0 <= token < len(self.pieces):
                raise InvalidRequest(f"This model has no token {token}.", param=param)

    def text_of(self, token: int) -> bytes:
        """What an answer shows of a token."""
        return b"" if token in self.special else self.pieces[token]


def described(settings: HostSettings, description: Mapping[str, Any], template: str | None) -> Model:
    """`template` replaces the model's own."""
    source = template or description["template"]
    return Model(
        settings.context_length,
        settings.slots,
        [piece.encode("latin-1") for piece in description["pieces"]],
        frozenset(description["special"]),
        ChatTemplate(source, bos=description["bos"], eos=description["eos"]) if source else None,
    )
