"""What a provider is to answer, said without any provider's words; and what it was asked, as it came."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    name: str
    arguments: str
    id: str = "call-1"


@dataclass(frozen=True)
class Refusal:
    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Script:
    texts: tuple[str, ...] = ("Hel", "lo ", "wörld")
    reasoning: str = ""
    call: Call | None = None
    finish: str = "stop"  # in OpenAI's words
    prompt_tokens: int = 12
    cached_tokens: int = 4
    completion_tokens: int = 7
    refusal: Refusal | None = None
    then: str = "end"  # after the texts: "end", "hang" until the client leaves, or "break" the connection


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    query: str = ""

    @property
    def text(self) -> str:
        return json.dumps(self.body, ensure_ascii=False)


@dataclass
class Provider:
    """The state of a fake provider."""

    script: Script = field(default_factory=Script)
    requests: list[Request] = field(default_factory=list)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        self.script = Script()
        self.requests.clear()
        self.client_left.clear()

    @property
    def asked(self) -> Request:
        return self.requests[-1]
