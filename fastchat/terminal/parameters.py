"""Sampling as a person types it: checked as a server would check it, before anything is sent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fastchat.client.chat import ChatParameters
from fastchat.core.errors import InvalidRequest
from fastchat.protocol.openai import ChatRequest

PARAMETERS: Mapping[str, type[int] | type[float]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "min_p": float,
    "max_tokens": int,
    "presence_penalty": float,
    "frequency_penalty": float,
    "repetition_penalty": float,
    "seed": int,
}


def changed(parameters: ChatParameters, values: Mapping[str, str | float | None]) -> ChatParameters:
    """With some of `PARAMETERS` set anew, from numbers or from their text.

    Raises:
        InvalidRequest: it is no number, or out of range.
    """
    numbers: dict[str, Any] = {name: _number(name, value) for name, value in values.items() if value is not None}
    try:
        ChatRequest.model_validate({"model": "-", "messages": [{"role": "user", "content": ""}], **numbers})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise InvalidRequest(f"{fault['loc'][0]}: {fault['msg']} (given: {fault['input']}).") from None
    return replace(parameters, **numbers)


def _number(name: str, value: str | float) -> float:
    kind = PARAMETERS[name]
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError:
        article = "a whole number" if kind is int else "a number"
        raise InvalidRequest(f"{name} takes {article} (given: {value!r}).") from None
