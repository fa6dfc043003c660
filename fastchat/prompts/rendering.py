"""Jinja as chat templates are written for it: what transformers, vLLM and llama.cpp offer to a template, in a sandbox.

Templates come with models and from users, so they are untrusted: a template can neither reach Python's internals nor
change what it is given.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from fastchat.core.errors import InvalidRequest, SetupError

Message = Mapping[str, Any]


class AnswerMarks(NamedTuple):
    """Put around what a model is trained to say, for those who look at a prompt."""

    start: str = ""
    end: str = ""


UNMARKED = AnswerMarks()


def render(
    template: str,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    add_generation_prompt: bool = False,
    answer_marks: AnswerMarks = UNMARKED,
    variables: Mapping[str, Any] | None = None,
) -> str:
    """The text of a conversation. `variables` are further names a template may use, such as `bos_token`.

    Raises:
        SetupError: the template is wrong.
        InvalidRequest: the template refuses this conversation.
    """
    compiled = compile_template(template, answer_marks)
    names = {
        **(variables or {}),
        "messages": [dict(message) for message in messages],
        "tools": [dict(tool) for tool in tools] or None,
        "add_generation_prompt": add_generation_prompt,
    }
    try:
        return compiled.render(names)
    except _Refusal as refusal:
        raise InvalidRequest(f"The chat template refuses this conversation: {refusal}", param="messages") from None
    except Exception as error:  # whatever expression a stranger wrote can raise anything
        raise SetupError(f"The chat template fails on this conversation: {_name(error)}: {error}") from None


@lru_cache(maxsize=256)
def compile_template(template: str, answer_marks: AnswerMarks = UNMARKED) -> Template:
    """
    Raises:
        SetupError: it is not Jinja.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
    )
    environment.extend(answer_marks=answer_marks)
    environment.filters["tojson"] = _to_json
    environment.globals |= {
        "raise_exception": _refuse,
        "strftime_now": lambda layout: datetime.now().strftime(layout),
        "namespace": _Namespace,
    }
    try:
        return environment.from_string(template)
    except TemplateSyntaxError as error:
        raise SetupError(f"The chat template is not valid Jinja: line {error.lineno}: {error.message}") from None


class _Refusal(Exception):
    """The template said so itself."""


def _refuse(message: object) -> NoReturn:
    raise _Refusal(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter writes `<` as `\\u003c`, which no model was trained on."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class _Namespace(Namespace):
    """Jinja's, without names that lead to Python's internals."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args  # as Jinja does it, so that a template may have a name `self`
        values = dict(*rest, **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: object) -> None:
    if str(name).startswith("_"):
        raise SecurityError(f"a namespace may not hold {name!r}")


class _GenerationTag(Extension):
    """`{% generation %}…{% endgeneration %}`: what the model says, and is trained on."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Macro) -> str:
        marks: AnswerMarks = self.environment.answer_marks  # type: ignore[attr-defined]  # put there by `extend`
        return marks.start + str(caller()) + marks.end


def _name(error: Exception) -> str:
    return type(error).__name__
