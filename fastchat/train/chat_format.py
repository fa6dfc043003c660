"""How conversations become the text that a model is tuned on: a template, the tokens it names, and what ends an answer.

The same template is saved with the tuned model, so that it is served as it was trained.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastchat.core.errors import InvalidRequest, SetupError
from fastchat.data.records import Conversation, Message
from fastchat.model.templates import own_template
from fastchat.prompts import catalog
from fastchat.prompts.formats import PromptFormat
from fastchat.prompts.rendering import UNMARKED, AnswerMarks
from fastchat.train.masks import MARKS, Rendered, Span, end_of_answer, take_marks

_GENERATION = re.compile(r"\{%[-+]?\s*generation\b")
_PROBE = "\ue000"  # of Unicode's private area


@dataclass(frozen=True, slots=True)
class ChatFormat:
    name: str  # of the catalogue, or the model it came with
    template: str  # Jinja
    tokens: Mapping[str, Any]  # `bos_token` and its like, which a template may name
    stop_tokens: tuple[str, ...]  # what ends an answer; a model learns to say one of them
    stop_strings: tuple[str, ...] = ()  # the same, where it is plain text and no token of its own
    notes: tuple[str, ...] = ()  # what was changed to fit the tokenizer, for its user

    @property
    def stops(self) -> tuple[str, ...]:
        return self.stop_tokens + self.stop_strings

    @property
    def is_marked(self) -> bool:
        """Whether the template itself tells what the model says."""
        return _GENERATION.search(self.template) is not None

    @property
    def digest(self) -> str:
        parts = (self.template, dict(self.tokens), self.stop_tokens, self.stop_strings)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def text(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        add_generation_prompt: bool = False,
        answer_marks: AnswerMarks = UNMARKED,
    ) -> str:
        return PromptFormat(self.name, self.template).render(
            messages,
            tools=tools,
            add_generation_prompt=add_generation_prompt,
            answer_marks=answer_marks,
            **self.tokens,
        )

    def render(self, conversation: Conversation) -> Rendered:
        """The whole text once, and where in it the answers are. Answers of `weight` 0 are left out, as OpenAI has it.

        Raises:
            InvalidRequest: the template refuses this conversation.
            SetupError: the template is wrong, or does not tell where answers are.
        """
        rendered = self._by_marks(conversation) if self.is_marked else self._by_prefixes(conversation)
        wanted = self._wanted(conversation, len(rendered.answers))
        answers = [answer for answer, is_wanted in zip(rendered.answers, wanted, strict=True) if is_wanted]
        return Rendered(rendered.text, tuple(answers))

    def pairs(self, conversation: Conversation) -> list[Rendered]:
        """For encoder-decoders: each answer with all that stands before it; both end with the last token.

        Raises:
            InvalidRequest, SetupError: as `render`.
        """
        end = self.tokens.get("eos_token", "")
        found = []
        for number, message in enumerate(conversation.messages):
            if _is_answer(message) and (said := _said(message)) and message.get("weight") != 0:
                before = conversation.messages[:number]
                question = self.text(before, tools=conversation.tools, add_generation_prompt=True)
                question += "" if question.endswith(end) else end
                text = question + said + end
                found.append(Rendered(text, (Span(len(question), len(text)),)))
        return found

    def _by_marks(self, conversation: Conversation) -> Rendered:
        marked = self.text(conversation.messages, tools=conversation.tools, answer_marks=MARKS)
        text, answers = take_marks(marked)
        return Rendered(text, tuple(Span(start, end + self._stop_at(text, end)) for start, end in answers))

    def _stop_at(self, text: str, place: int) -> int:
        """How long the stop is that stands here, outside the marks that should have held it."""
        return max((len(stop) for stop in self.stops if text.startswith(stop, place)), default=0)

    def _by_prefixes(self, conversation: Conversation) -> Rendered:
        messages, tools = conversation.messages, conversation.tools
        text = self.text(messages, tools=tools)
        numbers = [number for number, message in enumerate(messages) if _is_answer(message)]
        if 0 in numbers:
            raise InvalidRequest("It begins with an answer, to nothing.")
        prompts = [self.text(messages[:number], tools=tools, add_generation_prompt=True) for number in numbers]
        if not all(map(text.startswith, prompts)):
            raise self._cannot_tell(conversation, "what it makes of a beginning is not the beginning of the whole")
        starts = [len(prompt) for prompt in prompts]
        answers = []
        for number, start, limit in zip(numbers, starts, [*starts[1:], len(text)], strict=True):
            try:
                answers.append(Span(start, end_of_answer(text, _said(messages[number]), start, limit, self.stops)))
            except ValueError as error:
                raise self._cannot_tell(conversation, str(error)) from None
        return Rendered(text, tuple(answers))

    def _cannot_tell(self, conversation: Conversation, why: str) -> SetupError:
        return SetupError(
            f"The chat template ({self.name}) does not tell what the model says in conversation {conversation.id!r}: "
            f"{why}. Put {{% generation %}}…{{% endgeneration %}} around the answers in the template, with the token "
            "that ends them, and give that file as the template; or give another format of `fastchat prompts list`."
        )

    def _wanted(self, conversation: Conversation, answers: int) -> list[bool]:
        weights = [message.get("weight") != 0 for message in conversation.messages if _is_answer(message)]
        if all(weights):
            return [True] * answers
        if len(weights) != answers:
            raise SetupError(
                f"Conversation {conversation.id!r} gives weights to {len(weights)} answers, but the chat "
                f"template ({self.name}) shows {answers}. Take the weights out, or leave out the conversation."
            )
        return weights


def find_format(model_path: str, tokenizer: Any, template: str | None = None) -> ChatFormat:
    """`template` (a name of the catalogue or a Jinja file), else the model's own, else the one its family needs.

    `tokenizer` is a fast one of transformers.

    Raises:
        SetupError: there is no such template, or none for this model.
    """
    tokens: dict[str, Any] = {
        name: token for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)
    }
    known = catalog.find(template) if template else None
    if known is None and (own := own_template(model_path)):
        known = PromptFormat("the model's own", own)
    known = known or catalog.match(model_path)
    if known is None:
        raise SetupError(
            f"The model {model_path!r} ships no chat template and its name matches no prompt format. Say how it is "
            "to be asked: a name of `fastchat prompts list` (vicuna_v1.1, chatml, …) or a Jinja file."
        )
    return _fitted(known, tokens, tokenizer, model_path)


def _fitted(known: PromptFormat, tokens: Mapping[str, Any], tokenizer: Any, model_path: str) -> ChatFormat:
    """With the tokenizer's own tokens where the template spells out LLaMA's, and with all that ends an answer."""
    added = {token.content: token.special for token in tokenizer.added_tokens_decoder.values()}
    template, notes = known.template, []
    for spelled, name in (("</s>", "eos_token"), ("<s>", "bos_token")):
        if spelled in template and spelled not in added:
            own = tokens.get(name, "")
            template = template.replace(spelled, json.dumps(own, ensure_ascii=False)[1:-1])
            notes.append(
                f"{known.name} spells out {spelled}, which this tokenizer does not know; {own!r} stands for it"
            )
    stops = [tokens["eos_token"]] if "eos_token" in tokens else []
    stops += tokenizer.convert_ids_to_tokens(_generation_stops(model_path))
    stops += known.stop
    closing = _closing(PromptFormat(known.name, template), tokens, [token for token in added if added[token]])
    if closing is not None and closing not in stops:
        notes.append(f"{known.name} ends answers with {closing}, at which this model did not stop; it learns to")
        stops.append(closing)
    return ChatFormat(
        name=known.name,
        template=template,
        tokens=tokens,
        stop_tokens=tuple(stop for stop in dict.fromkeys(stops) if stop in added),
        stop_strings=tuple(stop for stop in known.stop if stop not in added),
        notes=tuple(notes),
    )


def _closing(known: PromptFormat, tokens: Mapping[str, Any], special: Sequence[str]) -> str | None:
    """The special token that the template puts behind an answer."""
    probe = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _PROBE}]
    try:
        behind = known.render(probe, add_generation_prompt=False, **tokens).rpartition(_PROBE)[2]
    except InvalidRequest:  # a template that wants a system message, or tools
        return None
    found = [(place, -len(token), token) for token in special if (place := behind.find(token)) >= 0]
    return min(found)[2] if found else None


def _generation_stops(model_path: str) -> list[int]:
    from transformers import GenerationConfig

    try:
        given = GenerationConfig.from_pretrained(model_path).eos_token_id
    except OSError:  # many models bring none
        return []
    return [given] if isinstance(given, int) else list(given or ())


def _is_answer(message: Message) -> bool:
    return message.get("role") == "assistant"


def _said(message: Message) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content or ())
