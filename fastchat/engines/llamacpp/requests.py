"""Our requests → the bodies llama.cpp's server reads.

Chat goes to its chat route, which renders the model's template and separates thoughts; text goes to its own completion
route. The server's handling of functions is used only where it does all that was asked: the model's template knows
functions, and the model is free to call. Everywhere else our grammar gives the answer its form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastchat.core.errors import InvalidRequest
from fastchat.engines import grammars, tools
from fastchat.engines.base import ChatPrompt, GenerationRequest, GrammarConstraint, JsonConstraint, TextPrompt
from fastchat.engines.llamacpp.events import Reader, read_chat, read_completion
from fastchat.engines.llamacpp.messages import is_continued, plain
from fastchat.engines.llamacpp.model import Model
from fastchat.engines.llamacpp.sampling import probability_fields, sampling_fields, wants_probabilities

_LAST_FIELDS = ["content", "stop", "stop_type", "timings"]  # of the last event, which else repeats the whole prompt


@dataclass(frozen=True, slots=True)
class Form:
    """The form an answer must have, and which field of the request asked for it."""

    grammar: str
    param: str | None = None  # None: written by the caller, so the server itself says what is wrong with it


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the server gets it."""

    path: str
    body: Mapping[str, Any]
    read: Reader
    form: Form | None
    thinks: bool = True  # else nothing of the answer is thought, whatever the server takes it for
    reads_calls: bool = False  # function calls come as text and have to be read out of it


def build(request: GenerationRequest, model: Model) -> Call:
    """
    Raises:
        InvalidRequest: the model or this engine cannot do what is asked.
    """
    if isinstance(request.prompt, TextPrompt):
        return _continuation(request, request.prompt, model)
    return _conversation(request, request.prompt, model)


def _continuation(request: GenerationRequest, prompt: TextPrompt, model: Model) -> Call:
    form = _constraint_form(request.constraint)
    body = sampling_fields(request, model) | probability_fields(request, chat=False) | _form_field(form)
    body["response_fields"] = _LAST_FIELDS
    if prompt.suffix is not None:
        body |= _gap_fields(prompt, model)
        return Call("/infill", body, read_completion, form, thinks=False)
    if not isinstance(prompt.text, str):
        model.check_tokens(prompt.text, param="prompt")
    body["prompt"] = prompt.text or model.bos  # nothing at all is the beginning of a document
    return Call("/completion", body, read_completion, form, thinks=False)


def _gap_fields(prompt: TextPrompt, model: Model) -> dict[str, Any]:
    if not model.fills_gaps:
        raise InvalidRequest("This model has no tokens for filling a gap, so it takes no suffix.", param="suffix")
    if not isinstance(prompt.text, str):
        raise InvalidRequest("With a suffix the prompt has to be text, not token ids.", param="suffix")
    return {"input_prefix": prompt.text, "input_suffix": prompt.suffix}


def _conversation(request: GenerationRequest, prompt: ChatPrompt, model: Model) -> Call:
    if not model.has_template:
        raise InvalidRequest(
            "This model has no chat template, so it can only continue text. Its worker can be given one with "
            "--conv-template.",
            param="messages",
        )
    offer = _offer(request, prompt, model)
    form = _tool_form(request, prompt, offer) if offer.tools and not offer.is_native else None
    form = form or _constraint_form(request.constraint)
    body = sampling_fields(request, model) | probability_fields(request, chat=True) | _form_field(form)
    body |= _conversation_fields(prompt, offer, model)
    # An answer whose form is set, or that has begun, leaves no room to think. Some templates can be told so; after the
    # others the server believes that the answer is a thought.
    thinks = request.constraint is None and not offer.is_forced and not is_continued(prompt.messages)
    if not thinks:
        body["chat_template_kwargs"] = {"enable_thinking": False} | body["chat_template_kwargs"]
    reads_calls = bool(offer.tools) and not offer.is_native
    return Call("/v1/chat/completions", body, read_chat, form, thinks, reads_calls)


@dataclass(frozen=True, slots=True)
class _Offer:
    """The functions the model may call, and who sees to it that it does so properly."""

    tools: Sequence[Mapping[str, Any]]
    is_forced: bool
    is_native: bool


def _offer(request: GenerationRequest, prompt: ChatPrompt, model: Model) -> _Offer:
    offered = () if prompt.tool_choice == "none" else prompt.tools
    is_free = bool(offered) and prompt.tool_choice == "auto"
    # The server can neither force a call nor combine calls with constraints or probabilities.
    combines = request.constraint is not None or wants_probabilities(request)
    return _Offer(offered, bool(offered) and not is_free, model.knows_tools and is_free and not combines)


def _conversation_fields(prompt: ChatPrompt, offer: _Offer, model: Model) -> dict[str, Any]:
    messages = plain(prompt.messages)
    if not model.knows_tools:
        messages = tools.as_text(messages)
    if offer.tools and not offer.is_native:
        messages = tools.describe(messages, offer.tools, role="system" if model.knows_system else "user")
    fields: dict[str, Any] = {"messages": messages, "chat_template_kwargs": dict(prompt.template_kwargs)}
    if offer.is_native:
        fields |= {"tools": list(offer.tools), "parallel_tool_calls": prompt.parallel_tool_calls}
    return fields


def _tool_form(request: GenerationRequest, prompt: ChatPrompt, offer: _Offer) -> Form:
    if isinstance(request.constraint, GrammarConstraint):
        raise InvalidRequest("A grammar and tools cannot be combined.", param="tools")
    if not offer.is_forced:
        otherwise = _schema(request.constraint) if request.constraint is not None else None
        free = grammars.free_calls(offer.tools, parallel=prompt.parallel_tool_calls, otherwise=otherwise)
        return Form(free, param="tools")
    named = [tool for tool in offer.tools if prompt.tool_choice in ("required", tool["function"]["name"])]
    if not named:
        raise InvalidRequest(f"tool_choice names {prompt.tool_choice!r}, which is no tool.", param="tool_choice")
    return Form(grammars.forced_call(named), param="tools")


def _constraint_form(constraint: JsonConstraint | GrammarConstraint | None) -> Form | None:
    if constraint is None:
        return None
    if isinstance(constraint, JsonConstraint):
        return Form(grammars.json_answer(_schema(constraint)), param="response_format")
    if constraint.grammar.lstrip().startswith("%llguidance"):
        raise InvalidRequest("The grammar must be in GBNF.", param="grammar")
    return Form(constraint.grammar)


def _schema(constraint: JsonConstraint) -> Mapping[str, Any]:
    return grammars.ANY_OBJECT if constraint.schema is None else constraint.schema


def _form_field(form: Form | None) -> dict[str, str]:
    return {} if form is None else {"grammar": form.grammar}
