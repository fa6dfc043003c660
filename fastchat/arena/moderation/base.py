"""The moderator contract: one message goes in, a judgement comes out.

What is examined is the whole of the message that is new: all of a question with what was read out of its files, and all
of each finished answer. FastChat looked at the last 2,000 characters of the conversation, so that whoever wrote long
enough was not looked at; earlier messages were examined when they were new. What to do about a judgement is `policy`'s.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import aiohttp

from fastchat.client.chat import ChatClient

Role: TypeAlias = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of several moderators together both may hold: one flagged the message, another could not judge it."""

    source: str  # names of the moderators, with what they used: "words", "openai omni-moderation-latest"
    is_flagged: bool = False
    categories: Mapping[str, float] = field(default_factory=dict)  # those it was flagged for, with their scores (0-1)
    is_failed: bool = False  # nobody knows whether it should have been flagged
    detail: str = ""  # for the operator: which line of a list, why it failed; holds nothing of the message

    def __post_init__(self) -> None:
        assert self.is_flagged or not self.categories, "categories of a message that was not flagged"


class Moderator(Protocol):
    """Built by `registry.load`. A service that cannot be asked is a failed judgement, never an exception or a pass."""

    @property
    def sees_images(self) -> bool: ...

    async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
        """`images` are `data:` addresses; who does not see images judges the text alone."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a moderator may be built upon. They belong to the process, which closes them."""

    environ: Mapping[str, str]
    http: aiohttp.ClientSession
    chat: ChatClient


@dataclass(frozen=True, slots=True)
class Spec:
    """A moderator as it is configured: `words:FILE`, `openai:URL,api_key=env:NAME`, `classifier:MODEL`."""

    name: str
    argument: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


Factory: TypeAlias = Callable[[Spec, Surroundings], Awaitable[Moderator]]


def windows(text: str, size: int, overlap: int) -> Iterator[str]:
    """The whole text in pieces. What crosses a border is whole in one of them, if it is at most `overlap` long."""
    for start in range(0, max(1, len(text) - overlap), size - overlap):
        yield text[start : start + size]
