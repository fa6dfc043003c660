"""A small model guesses how an answer goes on, and the large one looks at all guesses in one pass.

Nothing else changes: each token is still drawn from what the large model says after those before it, with all that the
request asks for; a guess only decides whether that is known already. So answers are those without a small model. It
pays while one sequence runs alone and the large model waits for its weights rather than for arithmetic.
"""

from collections.abc import Sequence
from typing import Protocol

import torch

from fastchat.core.errors import SetupError
from fastchat.engines.hf.backend import Step
from fastchat.engines.hf.loaded import LoadedModel


class Rewritable(Protocol):
    """The backend of the small model."""

    def add(self, key: int, prompt: Sequence[int]) -> None: ...
    def step(self) -> Step: ...
    def append(self, key: int, token: int) -> None: ...
    def remove(self, key: int) -> None: ...
    def rewrite(self, key: int, tokens: Sequence[int]) -> None: ...


class DraftModel:
    def __init__(self, backend: Rewritable, *, ahead: int, context_length: int) -> None:
        self._backend = backend
        self._ahead = ahead
        self._context_length = context_length
        self._key: int | None = None  # it follows one sequence at a time

    def guess(self, key: int, tokens: Sequence[int], context_length: int) -> list[int]:
        """How it would go on, greedily. With the token that is drawn after them the context is full at most."""
        number = min(self._ahead, min(context_length, self._context_length) - len(tokens) - 1)
        if number <= 0:
            return []
        if key == self._key:
            self._backend.rewrite(key, tokens)
        else:
            self.forget()
            self._backend.add(key, tokens)
            self._key = key
        guesses: list[int] = []
        while len(guesses) < number:
            keys, logits = self._backend.step()
            if keys:
                guesses.append(int(torch.argmax(logits[0])))
                self._backend.append(key, guesses[-1])
        return guesses

    def forget(self) -> None:
        if self._key is not None:
            self._backend.remove(self._key)
            self._key = None


def check_draft(draft: LoadedModel, loaded: LoadedModel) -> None:
    """
    Raises:
        SetupError: it does not speak in the same tokens.
    """
    if draft.kind != "decoder" or draft.tokenizer.get_vocab() != loaded.tokenizer.get_vocab():
        raise SetupError(
            "The draft model has other tokens than the model itself. Give a smaller model of the same family."
        )
