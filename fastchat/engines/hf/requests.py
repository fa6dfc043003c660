"""From requests to what the scheduler computes: prompts rendered and cut into tokens, bounds set, forms compiled."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from fastchat.core.errors import ContextLengthExceeded, InvalidRequest
from fastchat.engines import grammars, tools
from fastchat.engines.base import ChatPrompt, GenerationRequest, Message, TextPrompt
from fastchat.engines.hf.answer import Answer, Bounds
from fastchat.engines.hf.constraints import FormReader, form_of, offered
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.sampling import Sampler
from fastchat.engines.hf.scheduler import Job, Sent
from fastchat.engines.hf.sight import Seen, Sight, image_parts
from fastchat.engines.hf.vocabulary import Vocabulary
from fastchat.engines.thoughts import BEGIN, ThoughtReader
from fastchat.prompts.rendering import render


class RequestReader:
    """Not for several threads at once: tokenizers are not."""

    def __init__(self, loaded: LoadedModel, vocabulary: Vocabulary, context_length: int) -> None:
        self._loaded = loaded
        self._vocabulary = vocabulary
        self._context_length = context_length
        self._sight = None if loaded.processor is None else Sight(loaded)

    def job(self, request: GenerationRequest, key: int, send: Callable[[Sent], None]) -> Job:
        """
        Raises:
            InvalidRequest: the model or this engine cannot do what is asked.
        """
        sampling, prompt = request.sampling, request.prompt
        if self._loaded.kind == "encoder":
            raise InvalidRequest("This model makes embeddings; it cannot answer.", param="model")
        self._check_adapter(request.adapter)
        self._vocabulary.check(sampling.logit_bias, param="logit_bias")
        form = form_of(request)
        guide = None if form is None else self._forms.guide(form)
        seen = self._seen(prompt)
        tokens = self._prompt_tokens(prompt) if seen is None else seen.tokens
        ends = self._loaded.eos_token_ids
        is_endless = sampling.ignore_eos and guide is None  # a form ends where it ends
        stop_tokens = frozenset(sampling.stop_token_ids) | (frozenset() if is_endless else ends)
        return Job(
            key=key,
            prompt=tokens,
            sampler=Sampler(sampling, tokens, forbidden=ends if is_endless else ()),
            answer=Answer(
                request,
                self._vocabulary,
                Bounds(self._most_tokens(request, len(tokens)), stop_tokens),
                prompt_tokens=len(tokens),
                reads_calls=isinstance(prompt, ChatPrompt) and bool(offered(prompt)),
                thoughts=self._thoughts(request, tokens),
            ),
            send=send,
            guide=guide,
            top_logprobs=request.top_logprobs,
            adapter=request.adapter,
            may_share=_may_share(request),
            inputs=None if seen is None else seen.inputs,
        )

    def render(self, prompt: ChatPrompt) -> str:
        """
        Raises:
            InvalidRequest: the model has no chat template, or it refuses the conversation.
        """
        template = self._loaded.chat_template
        if template is None:
            raise InvalidRequest(
                "This model has no chat template, so it can only continue text. Its worker can be given one with "
                "--conv-template.",
                param="messages",
            )
        messages: list[Message] = [self._plain(message) for message in prompt.messages]
        begun = ""
        if messages and messages[-1]["role"] == "assistant" and not messages[-1].get("tool_calls"):
            begun = messages.pop()["content"]
        functions = offered(prompt)
        if not self._knows_tools:
            messages = tools.as_text(messages)
            if functions:
                messages = tools.describe(messages, functions, role="system" if self._knows_system else "user")
        text = self._rendered(messages, functions if self._knows_tools else (), prompt.template_kwargs)
        return text + begun

    def _rendered(
        self, messages: Sequence[Message], functions: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]
    ) -> str:
        if self._sight is not None:
            messages = [{**message, "content": self._sight.content(message)} for message in messages]
        return render(
            self._loaded.chat_template or "",
            messages,
            tools=functions,
            add_generation_prompt=True,
            variables={**self._loaded.tokenizer.special_tokens_map, **variables},
        )

    def _plain(self, message: Message) -> dict[str, Any]:
        """With text as its content, which is all that every template takes, but for pictures."""
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            if self._sight is not None and image_parts([message]):
                if message["role"] in ("assistant", "tool"):
                    raise InvalidRequest("Images are read in messages of the user only.", param="messages")
                return {**message}
            if any(part.get("type") not in ("text", "input_text") for part in content):
                raise InvalidRequest("This model reads text only, no images or sounds.", param="messages")
            content = "".join(part.get("text") or "" for part in content)
        return {**message, "content": content or ""}

    def _seen(self, prompt: ChatPrompt | TextPrompt) -> Seen | None:
        if self._sight is None or isinstance(prompt, TextPrompt) or not image_parts(prompt.messages):
            return None
        return self._sight.read(self.render(prompt), prompt.messages)

    def _prompt_tokens(self, prompt: ChatPrompt | TextPrompt) -> list[int]:
        if isinstance(prompt, ChatPrompt):
            # The template writes the special tokens itself; but no format for T5 and its like writes the end of the
            # text, which their encoders are used to.
            text = self.render(prompt)
            end = self._loaded.tokenizer.eos_token
            lacks_end = self._loaded.kind == "encoder-decoder" and not (end and text.endswith(end))
            tokens = self._vocabulary.encode(text, add_special=lacks_end)
        elif prompt.suffix is not None:
            raise InvalidRequest("The engine 'hf' cannot fill gaps, so it takes no suffix.", param="suffix")
        elif isinstance(prompt.text, str):
            tokens = self._vocabulary.encode(prompt.text, add_special=True)
        else:
            tokens = list(prompt.text)
        # A tokenizer may know tokens that its model was never given.
        self._vocabulary.check(tokens, param="messages" if isinstance(prompt, ChatPrompt) else "prompt")
        return tokens or [self._first_token]

    def _most_tokens(self, request: GenerationRequest, prompt_tokens: int) -> int:
        """Of the answer. Prompt and answer share the context, also where the model keeps them apart."""
        room = self._context_length - prompt_tokens
        if room < 1:
            raise ContextLengthExceeded(prompt_tokens, self._context_length)
        wish = request.sampling.max_tokens
        return room if wish is None else min(wish, room)

    def _thoughts(self, request: GenerationRequest, prompt: Sequence[int]) -> ThoughtReader | None:
        """An answer whose form is set, or that has begun, leaves no room to think."""
        chat = request.prompt
        if not isinstance(chat, ChatPrompt) or request.constraint is not None:
            return None
        has_begun = bool(chat.messages) and chat.messages[-1]["role"] == "assistant"
        if has_begun or (offered(chat) and chat.tool_choice != "auto"):
            return None
        end = self._vocabulary.spell(prompt[-8:])
        return ThoughtReader(has_begun=end.rstrip().endswith(BEGIN))

    def _check_adapter(self, name: str | None) -> None:
        if name is not None and name not in self._loaded.adapters:
            known = ", ".join(self._loaded.adapters) or "none"
            raise InvalidRequest(f"There is no adapter {name!r}. Adapters here: {known}.", param="model")

    @property
    def _first_token(self) -> int:
        """Nothing at all is the beginning of a document."""
        begin = self._loaded.tokenizer.bos_token_id
        return int(min(self._loaded.eos_token_ids, default=0) if begin is None else begin)

    @cached_property
    def _forms(self) -> FormReader:
        if not self._loaded.tokenizer.is_fast:
            raise InvalidRequest("The tokenizer of this model is of a kind that constrained answers do not work with.")
        return FormReader(self._loaded.tokenizer, self._vocabulary, self._loaded.eos_token_ids)

    @cached_property
    def _knows_system(self) -> bool:
        mark = "~system~"
        try:
            return mark in self._rendered([_said("system", mark), _said("user", "a")], (), {})
        except InvalidRequest:
            return False

    @cached_property
    def _knows_tools(self) -> bool:
        """Whether the template describes tools, and shows calls as we read them."""
        template = self._loaded.chat_template or ""
        return all(word in template for word in ("tools", grammars.OPEN, "arguments", '"name"'))


def _may_share(request: GenerationRequest) -> bool:
    """Not where the same answer is wanted every time.

    A prompt read in one go and one continued from the cache give logits that differ in their last bits, which is enough
    to make a greedy answer differ. `cache_prompt` in the request overrules this.
    """
    wish = request.extra.get("cache_prompt")
    if isinstance(wish, bool):
        return wish
    return request.sampling.temperature > 0 and request.sampling.seed is None


def _said(role: str, text: str) -> Message:
    return {"role": role, "content": text}
