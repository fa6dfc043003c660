"""Layouts: templates that many formats share, each a complete chat template with the values of one format in its head.

{%- set before_user = "USER:" -%}        the head: one value a line
{#- The layout: … -#}                    from here on the same for all formats
"""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any

# Of the tokenizer; nothing where it has none, or nobody has a tokenizer.
BEGINNING_OF_TEXT = 'bos_token | default("")'
END_OF_TEXT = 'eos_token | default("")'

_BODY = "{#- The layout:"
_VALUE = re.compile(r"^\{%- set (\w+) = .* -%\}$", re.MULTILINE)


def layout_text(layout: str) -> str:
    return files(__package__).joinpath("chat_templates", f"{layout}.jinja").read_text("utf-8")


def fill(layout: str, values: Mapping[str, Any], expressions: Mapping[str, str] = MappingProxyType({})) -> str:
    """The layout with these values in its head; one that is not given is empty. Expressions are Jinja of their own."""
    head, mark, body = layout_text(layout).partition(_BODY)
    names = _VALUE.findall(head)
    filled = {name: _literal(values.get(name, [] if name == "examples" else "")) for name in names}
    filled |= {name: _literal(value) for name, value in values.items() if name not in filled}
    filled |= expressions
    lines = [f"{{%- set {name} = {value} -%}}" for name, value in filled.items()]
    return "\n".join(lines) + "\n\n" + mark + body


def _literal(value: Any) -> str:
    """As Jinja writes it: strings, numbers, lists and objects are written as in JSON."""
    return json.dumps(value, ensure_ascii=False)
