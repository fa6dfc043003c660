"""OpenAI's API: the requests we read, and the pieces of answers that more than one process writes.

Field by field after OpenAI's reference (SDK 3.52), plus the extras that vLLM's users send. Types are checked strictly:
a number in quotes is an error, not a number. Fields nobody knows are kept in `model_extra` and reach the engine.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from fastchat.core.errors import FastChatError, InvalidRequest

ItemT = TypeVar("ItemT")


class _OneFault(FailFast):
    def __hash__(self) -> int:  # a union of types is a set of types
        return hash(type(self))


# Lists may be long and wrong in every item: one complaint is enough, a million of them take seconds and gigabytes.
Items: TypeAlias = Annotated[list[ItemT], _OneFault()]
TokenIds: TypeAlias = Items[Annotated[int, Field(ge=0)]]
Stop: TypeAlias = Annotated[str, Field(max_length=1000)] | Annotated[list[str], Field(max_length=64)]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Bias: TypeAlias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]


def _at_most_1024(given: object) -> object:
    if isinstance(given, dict) and len(given) > 1024:
        raise ValueError("at most 1024 tokens can have a bias")
    return given


def _fault(param: str, message: str) -> PydanticCustomError:
    """What a validator of a whole request finds, with the field it is about."""
    return PydanticCustomError("fault", "{message}", {"message": message, "param": param})


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class ContentPart(_Part):
    type: str
    text: str | None = None

    @model_validator(mode="after")
    def _text_parts_have_text(self) -> "ContentPart":
        if self.type in ("text", "input_text") and self.text is None:
            raise ValueError("a text part needs a field 'text'")
        return self


class FunctionCall(_Part):
    name: str
    arguments: str


class ToolCall(_Part):
    id: str | None = None
    type: str = "function"
    function: FunctionCall | None = None


class ChatMessage(_Part):
    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | Items[ContentPart] | None = None
    name: str | None = None
    tool_calls: Items[ToolCall] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _only_the_assistant_may_be_silent(self) -> "ChatMessage":
        if self.content is None and self.role != "assistant":
            raise ValueError(f"a message of role {self.role!r} needs content")
        return self


class FunctionDefinition(_Part):
    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(_Part):
    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(_Part):
    name: str


class NamedToolChoice(_Part):
    type: Literal["function"]
    function: NamedFunction


class AllowedTools(_Part):
    mode: Literal["auto", "required"]
    tools: Items[dict[str, Any]]


class AllowedToolsChoice(_Part):
    """Only some of the tools may be called."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools

    @property
    def names(self) -> set[str]:
        return {str(tool.get("function", {}).get("name")) for tool in self.allowed_tools.tools}


class JsonSchemaSpec(_Part):
    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())
    name: str | None = None
    json_schema: dict[str, Any] | None = Field(None, alias="schema")


class ResponseFormat(_Part):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaSpec | None = None

    @model_validator(mode="after")
    def _a_schema_where_one_is_named(self) -> "ResponseFormat":
        if self.type == "json_schema" and (self.json_schema is None or self.json_schema.json_schema is None):
            raise ValueError("type 'json_schema' needs 'json_schema': {'name': …, 'schema': {…}}")
        return self


class StreamOptions(_Part):
    include_usage: bool | None = None


class SamplingFields(BaseModel):
    """The fields that chat and text completions share."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str = Field(min_length=1, max_length=256)
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(None, ge=-1, le=2**31 - 1)
    min_p: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    n: int | None = Field(None, ge=1, le=128)
    stop: Stop | None = None
    stop_token_ids: TokenIds | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    seed: int | None = Field(None, ge=-(2**63), le=2**64 - 1)
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: float | None = Field(None, gt=0, le=10, allow_inf_nan=False)
    logit_bias: Annotated[dict[str, Bias], BeforeValidator(_at_most_1024)] | None = None
    ignore_eos: bool | None = None
    response_format: ResponseFormat | None = None
    grammar: str | None = Field(None, max_length=100_000)
    user: str | None = None


class ChatRequest(SamplingFields):
    """`POST /v1/chat/completions`."""

    messages: Items[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: Items[FunctionTool] | None = Field(None, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | AllowedToolsChoice | None = None
    modalities: list[Literal["text"]] | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _tools_in_their_present_form(self) -> "ChatRequest":
        for old, new in (("functions", "tools"), ("function_call", "tool_choice")):
            if (self.model_extra or {}).get(old) is not None:
                raise _fault(old, f"{old} is OpenAI's old form, which is not served; send {new}")
        return self

    @model_validator(mode="after")
    def _tool_choice_names_a_tool(self) -> "ChatRequest":
        if isinstance(self.tool_choice, NamedToolChoice):
            name = self.tool_choice.function.name
            if name not in [tool.function.name for tool in self.tools or ()]:
                raise _fault("tool_choice", f"tool_choice names the function {name!r}, which is not among the tools")
        if self.tool_choice == "required" and not self.tools:
            raise _fault("tool_choice", "tool_choice 'required' needs tools")
        return self


class CompletionRequest(SamplingFields):
    """`POST /v1/completions`."""

    prompt: str | Items[str] | TokenIds | Items[TokenIds] | None = ""
    suffix: str | None = None
    max_tokens: int | None = Field(None, ge=0, le=2**31 - 1)
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool | None = None
    best_of: int | None = Field(None, ge=1, le=128)

    @property
    def prompts(self) -> list[str | list[int]]:
        """The prompts of the batch, whichever of the four forms it came in."""
        return _batch(self.prompt or "")

    @model_validator(mode="after")
    def _fits_together(self) -> "CompletionRequest":
        if self.prompt == [] or [] in self.prompts:
            raise _fault("prompt", "prompt must not be an empty list")
        if self.best_of is not None and self.best_of < (self.n or 1):
            raise _fault("best_of", f"best_of ({self.best_of}) must be at least n ({self.n or 1})")
        if self.best_of is not None and self.best_of > (self.n or 1) and self.stream:
            raise _fault("best_of", "best_of cannot be streamed")
        return self


def _batch(given: str | Sequence[str] | Sequence[int] | Sequence[list[int]]) -> list[str | list[int]]:
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [[token for token in given if isinstance(token, int)]]
    return [item for item in given if not isinstance(item, int)]


class EmbeddingRequest(BaseModel):
    """`POST /v1/embeddings`."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str = Field(min_length=1, max_length=256)
    input: str | Items[str] | TokenIds | Items[TokenIds]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1)
    user: str | None = None

    @property
    def inputs(self) -> list[str | list[int]]:
        return _batch(self.input)

    @model_validator(mode="after")
    def _something_to_embed(self) -> "EmbeddingRequest":
        if not self.inputs or any(not item for item in self.inputs):
            raise _fault("input", "input must not be empty")
        return self


class TokenizeRequest(BaseModel):
    """`POST /tokenize`, in vLLM's form: a prompt, or messages to be rendered first."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str | None = None
    prompt: str | None = None
    messages: Items[ChatMessage] | None = None
    add_special_tokens: bool = True

    @model_validator(mode="after")
    def _one_of_both(self) -> "TokenizeRequest":
        if (self.prompt is None) == (not self.messages):
            raise _fault("prompt", "give either 'prompt' or 'messages'")
        return self


class DetokenizeRequest(BaseModel):
    """`POST /detokenize`."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str | None = None
    tokens: TokenIds


def invalid_request(error: ValidationError) -> InvalidRequest:
    """The most telling of pydantic's complaints, as OpenAI would say it, and never long.

    Of the forms a field may have, that one is meant which what was given came furthest with.
    """
    complaints = error.errors(include_url=False, include_input=False)
    paths = [[step for step in complaint["loc"] if not _names_a_type(step)] for complaint in complaints]
    furthest = max(range(len(paths)), key=lambda number: len(paths[number]))
    complaint, path = complaints[furthest], ".".join(map(str, paths[furthest]))[:200]
    message = str(complaint["msg"]).removeprefix("Value error, ")[:500]
    if complaint["type"] == "json_invalid":
        return InvalidRequest(f"The body is not valid JSON: {message.removeprefix('Invalid JSON: ')}")
    where = f"'{path}': " if path else ""
    return InvalidRequest(f"{where}{message}.", param=path or complaint.get("ctx", {}).get("param"))


def _names_a_type(step: int | str) -> bool:
    """pydantic puts the tried member of a union into the path; callers know only their own fields."""
    return isinstance(step, str) and (step in ("str", "int", "float", "bool") or "[" in step or step[:1].isupper())


def error_body(error: FastChatError) -> dict[str, Any]:
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def error_reply(error: FastChatError) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of an error: `Retry-After` where waiting helps, elsewhere word that it does not."""
    if error.retry_after_s is not None:
        return error_body(error), {"retry-after": str(error.retry_after_s)}
    return error_body(error), {"x-should-retry": "false"} if error.status < 500 else {}


def sse(data: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


SSE_DONE = b"data: [DONE]\n\n"


def model_card(name: str, *, created: int, context_length: int | None, owned_by: str = "fastchat") -> dict[str, Any]:
    """An entry of `/v1/models` that OpenAI's and Anthropic's SDKs both read."""
    card: dict[str, Any] = {"id": name, "object": "model", "created": created, "owned_by": owned_by}
    card |= {"root": name, "parent": None, "permission": [], "type": "model", "display_name": name}
    card["max_model_len"] = context_length
    return card


def model_list(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ids = [card["id"] for card in cards]
    ends = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None, "has_more": False}
    return {"object": "list", "data": list(cards), **ends}
