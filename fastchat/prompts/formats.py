"""A prompt format: how a conversation becomes the text a model was tuned on, and what ends an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastchat.core.errors import InvalidRequest
from fastchat.prompts.rendering import UNMARKED, AnswerMarks, Message, render

_CUT = "\ue000cut here\ue000"  # of Unicode's private area, so that no conversation has it


@dataclass(frozen=True, slots=True)
class PromptFormat:
    name: str
    template: str  # Jinja, complete in itself
    system: str = ""  # the system message of a conversation that brings none
    roles: tuple[str, str] = ("user", "assistant")  # what FastChat called the two in prompts and logs
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        add_generation_prompt: bool | None = None,
        continue_final: bool = False,
        answer_marks: AnswerMarks = UNMARKED,
        **variables: Any,
    ) -> str:
        """The text of a conversation of OpenAI messages.

        Without `add_generation_prompt` the text asks for an answer when the last message is the user's. With
        `continue_final` a last message of the assistant stays open, so that the model goes on with it.

        Raises:
            InvalidRequest: the messages are not text, or the format has no place for them.
            SetupError: the template is wrong.
        """
        plain = [_plain(message) for message in messages]
        asks = bool(plain) and plain[-1]["role"] == "user" if add_generation_prompt is None else add_generation_prompt
        is_open = continue_final and bool(plain) and plain[-1]["role"] == "assistant"
        if is_open and not plain[-1]["content"]:  # nothing said yet is the same as an answer asked for
            plain, is_open, asks = plain[:-1], False, True
        elif is_open:
            plain[-1]["content"] += _CUT
        text = render(
            self.template,
            plain,
            tools=tools,
            add_generation_prompt=asks,
            answer_marks=answer_marks,
            variables=variables,
        )
        return text.rpartition(_CUT)[0] if is_open else text

    def after_prompt(self, begun: str) -> str:
        """How an answer that begins like this stands behind a prompt: `Yes` as ` Yes` behind `ASSISTANT:`."""
        question = {"role": "user", "content": "?"}
        asked = self.render([question])
        text = self.render([question, {"role": "assistant", "content": begun}], continue_final=True)
        return text.removeprefix(asked) if text.startswith(asked) else begun


def _plain(message: Message) -> dict[str, Any]:
    content = message.get("content")
    if content is None or isinstance(content, str):
        return {**message, "content": content or ""}
    parts = [part.get("text") for part in content if part.get("type") in ("text", "input_text")]
    if len(parts) != len(content):
        raise InvalidRequest("A prompt format renders text only; a message here has a part of another type.")
    return {**message, "content": "".join(part or "" for part in parts)}
