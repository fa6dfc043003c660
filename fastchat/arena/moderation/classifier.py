"""The moderator `classifier`: a model of the platform is asked whether a message is safe, as `classifier:MODEL`.

The model has to say `safe`, or `unsafe` with a category, and nothing else (the form that guard models are trained on).
Anything else, an answer cut short included, is a failure: a model that chats has not judged.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from importlib.resources import files
from secrets import token_hex

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from fastchat.arena.moderation.base import Judgement, Role, Spec, Surroundings, windows
from fastchat.arena.moderation.combined import merge
from fastchat.arena.moderation.registry import options
from fastchat.client.chat import ChatClient, ChatParameters
from fastchat.core.errors import FastChatError

log = logging.getLogger(__name__)

PIECE_CHARS = 6000
OVERLAP_CHARS = 400
_PARAMETERS = ChatParameters(temperature=0.0, max_tokens=512)  # room for thoughts, which come as reasoning
_WHO: dict[Role, str] = {"user": "person", "assistant": "chatbot"}
_VERDICT = re.compile(r"(?P<verdict>safe|unsafe)\b[.:,]?\s*(?P<categories>[\w/ -]+(?:,[\w/ -]+)*)?\.?", re.IGNORECASE)


class ClassifierOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1, description="name under which the platform serves the guard")
    timeout_s: PositiveFloat = Field(30.0, description="for the whole message")


class Classifier:
    sees_images = False

    def __init__(self, chat: ChatClient, options: ClassifierOptions) -> None:
        self._chat = chat
        self._options = options
        self._prompt = (files(__package__) / "guard_prompt.md").read_text("utf-8")
        self._source = f"classifier {options.model}"

    async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
        judged = [Judgement(self._source)]
        try:
            async with asyncio.timeout(self._options.timeout_s):
                for piece in windows(text, PIECE_CHARS, OVERLAP_CHARS):
                    if piece.strip():
                        judged.append(await self._judge(piece, role))
        except FastChatError as error:
            judged.append(self._failure(f"{type(error).__name__}: {error.message}"))
        except TimeoutError:
            judged.append(self._failure(f"no verdict within {self._options.timeout_s:g} s"))
        return merge(judged)

    async def _judge(self, piece: str, role: Role) -> Judgement:
        # The writer of the message cannot know the fence, so cannot pretend that it has ended.
        prompt = self._prompt.format(role=_WHO[role], text=piece, fence=token_hex(8))
        said = await self._chat.complete(self._options.model, [{"role": "user", "content": prompt}], _PARAMETERS)
        found = _VERDICT.fullmatch(said.text.strip().strip("`*\"'"))
        if said.finish_reason != "stop" or not found:
            return self._failure("its verdict cannot be read")
        return self._read(found)

    def _read(self, verdict: re.Match[str]) -> Judgement:
        names = [name.strip().lower() for name in (verdict["categories"] or "").split(",") if name.strip()]
        if verdict["verdict"].lower() == "safe":
            return Judgement(self._source) if not names else self._failure("its verdict cannot be read")
        if not names:
            return self._failure("it named no category")
        return Judgement(self._source, is_flagged=True, categories=dict.fromkeys(names, 1.0))

    def _failure(self, why: str) -> Judgement:
        log.warning("%s did not judge a message: %s", self._source, why)
        return Judgement(self._source, is_failed=True, detail=f"{self._source}: {why}")


async def load(spec: Spec, around: Surroundings) -> Classifier:
    return Classifier(around.chat, options(ClassifierOptions, spec, around, argument="model"))
