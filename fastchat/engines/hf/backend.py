"""What runs sequences through a model: tokens in, logits out. It draws no token and knows no request.

A backend lives in the model's own thread: nothing in it is asynchronous or safe for several threads. The scheduler
calls `step` as long as there are sequences, gives each sequence that is due its next token, and so on:

    backend.add(1, [5, 6, 7])
    backend.step()          Step(keys=(), …)        a long prompt is read in several steps
    backend.step()          Step(keys=(1,), logits of shape (1, vocabulary))
    backend.append(1, 42)
    backend.step()          Step(keys=(1,), …)
    backend.remove(1)
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Step(NamedTuple):
    """Whose next token is due, and the logits it is drawn from."""

    keys: tuple[int, ...]
    logits: Any  # torch tensor, float32, (len(keys), vocabulary), on the model's device


class Backend(Protocol):
    def add(
        self,
        key: int,
        prompt: Sequence[int],
        *,
        adapter: str | None = None,
        may_share: bool = False,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Take a sequence in. With `may_share` what others computed of the same beginning may be used for it;
        `inputs` are pictures, as the model's processor made them.

        The prompt has at least one token, and the scheduler never has more than `slots` sequences in.
        """
        ...

    def step(self) -> Step:
        """One forward pass over what can be done now: the last token of some sequences, part of the prompt of others.

        A sequence that was due and got no token since is left out. Whatever the forward pass raises leaves this
        method; the sequences may then still be removed.
        """
        ...

    def append(self, key: int, token: int) -> None:
        """The token that was drawn for a sequence that was due."""
        ...

    def remove(self, key: int) -> None:
        """Free what the sequence holds. At any time, and also for a key that is not there."""
        ...

    def shared_tokens(self, key: int) -> int:
        """How many tokens of the prompt of a sequence did not have to be computed."""
        ...

    def close(self) -> None:
        """Free all memory but the model's."""
        ...
