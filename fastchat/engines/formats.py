"""Which prompt format a model is served with, and an engine that keeps to it.

The order: what `--conv-template` names, the model's own template, the catalogue by the model's name. A model that has
none of these can continue text but not chat.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import NoReturn, TypeVar

from fastchat.core.errors import InvalidRequest, SetupError
from fastchat.engines.base import ChatPrompt, Delta, Embeddings, Engine, EngineInfo, GenerationRequest
from fastchat.model.templates import own_template
from fastchat.prompts import catalog
from fastchat.prompts.formats import PromptFormat

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Choice:
    """With no format, the model's own template is used, if it has one."""

    format: PromptFormat | None
    can_chat: bool
    reason: str

    @property
    def name(self) -> str:
        return self.format.name if self.format else "the model's own" if self.can_chat else "none, it cannot chat"

    def template_for(self, engine: str) -> str | None:
        """What replaces the model's own template."""
        if self.format is None:
            return None
        if engine == "llamacpp":
            # It puts the beginning-of-text token there itself, for those models whose file asks for it.
            return "{%- set bos_token = '' -%}\n" + self.format.template
        return self.format.template


def choose_format(wanted: str | None, path: str, model_name: str) -> Choice:
    """`path` is where the weights are, `model_name` what the user called them.

    Raises:
        SetupError: what is wanted is no format, or a file of the model is damaged.
    """
    if wanted:
        return Choice(_named(wanted), can_chat=True, reason="--conv-template names it")
    if own_template(path) is not None:
        return Choice(None, can_chat=True, reason="the model has a template of its own")
    known = catalog.match(model_name) or catalog.match(path)
    if known is None:
        return Choice(None, can_chat=False, reason="the model has no template, and its name matches no format")
    return Choice(known, can_chat=True, reason="the model has no template; its name matches this format")


def _named(wanted: str) -> PromptFormat:
    try:
        return catalog.find(wanted)
    except SetupError as error:
        raise SetupError(f"--conv-template: {error.message}") from None


def formatted(engine: Engine, choice: Choice) -> Engine:
    """The engine, keeping to the format in chats; refusing them where there is none."""
    if not choice.can_chat:
        return TextOnly(engine)
    return engine if choice.format is None else Formatted(engine, choice.format)


class _Wrapped:
    """Another engine, unchanged but for what a subclass says."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        return self._engine.generate(request)

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        return await self._engine.embed(inputs)

    async def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        return await self._engine.tokenize(text, add_special=add_special)

    async def detokenize(self, tokens: Sequence[int]) -> str:
        return await self._engine.detokenize(tokens)

    async def render(self, prompt: ChatPrompt) -> str:
        return await self._engine.render(prompt)

    async def is_healthy(self) -> bool:
        return await self._engine.is_healthy()

    async def close(self) -> None:
        await self._engine.close()


class Formatted(_Wrapped):
    """Chats end at the format's marks too, and begun answers are put as the format has them.

    Text that is continued has no format, so nothing changes for it.
    """

    def __init__(self, engine: Engine, format: PromptFormat) -> None:
        super().__init__(engine)
        self._format = format

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        if isinstance(request.prompt, ChatPrompt):
            # An answer of a set form ends where the form does; a mark may stand inside one of its strings.
            is_free = request.constraint is None and request.prompt.tool_choice in ("auto", "none")
            sampling = replace(
                request.sampling,
                stop=_joined(request.sampling.stop, self._format.stop if is_free else ()),
                stop_token_ids=_joined(request.sampling.stop_token_ids, self._format.stop_token_ids),
            )
            request = replace(request, prompt=self._begun(request.prompt), sampling=sampling)
        return self._engine.generate(request)

    async def render(self, prompt: ChatPrompt) -> str:
        return await self._engine.render(self._begun(prompt))

    def _begun(self, prompt: ChatPrompt) -> ChatPrompt:
        """Engines put a begun answer right behind the prompt, where some formats want a blank between."""
        *before, last = prompt.messages or [{}]
        content = last.get("content")
        if last.get("role") != "assistant" or not isinstance(content, str) or not content:
            return prompt
        return replace(prompt, messages=[*before, {**last, "content": self._format.after_prompt(content)}])


class TextOnly(_Wrapped):
    """Of a model without a prompt format: chats are refused with the way out."""

    @property
    def info(self) -> EngineInfo:
        return replace(self._engine.info, features=self._engine.info.features - {"chat", "tools"})

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        if isinstance(request.prompt, ChatPrompt):
            _refuse_chat()
        async with aclosing(self._engine.generate(request)) as deltas:
            async for delta in deltas:
                yield delta

    async def render(self, prompt: ChatPrompt) -> str:
        _refuse_chat()


def _refuse_chat() -> NoReturn:
    raise InvalidRequest(
        "This model has no chat template, so it can only continue text. Start it with --conv-template and a "
        "name that `fastchat prompts list` prints, or the path of a Jinja file.",
        param="messages",
    )


def _joined(first: Sequence[Item], second: Sequence[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys((*first, *second)))
