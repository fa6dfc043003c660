"""For models that see: text goes through one backend, conversations with pictures through another.

What a picture becomes is not made of token ids, so blocks that are found by token ids cannot hold it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fastchat.engines.hf.backend import Backend, Step


class MixedBackend:
    def __init__(self, reading: Backend, seeing: Backend) -> None:
        self._reading = reading
        self._seeing = seeing
        self._seen: set[int] = set()

    def add(
        self,
        key: int,
        prompt: Sequence[int],
        *,
        adapter: str | None = None,
        may_share: bool = False,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        if inputs is not None:
            self._seen.add(key)
        self._of(key).add(key, prompt, adapter=adapter, may_share=may_share, inputs=inputs)

    def step(self) -> Step:
        steps = [step for step in (self._reading.step(), self._seeing.step()) if step.keys]
        if len(steps) == 1:
            return steps[0]
        keys = tuple(key for step in steps for key in step.keys)
        return Step(keys, torch.cat([step.logits for step in steps]) if steps else torch.empty((0, 0)))

    def append(self, key: int, token: int) -> None:
        self._of(key).append(key, token)

    def remove(self, key: int) -> None:
        self._of(key).remove(key)
        self._seen.discard(key)

    def shared_tokens(self, key: int) -> int:
        return self._of(key).shared_tokens(key)

    def close(self) -> None:
        self._reading.close()
        self._seeing.close()

    def _of(self, key: int) -> Backend:
        return self._seeing if key in self._seen else self._reading
