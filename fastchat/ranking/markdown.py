"""What counts as style in an answer: regular expressions that Python and polars read alike."""

import re
from collections.abc import Mapping

CODE = r"(?s)```.*?(?:```|$)"  # what looks like a list in there is none
# Without a tokenizer: words, and marks one by one. Only ratios of two answers are used.
TOKENS = r"\w+|[^\w\s]"
MARKUP: Mapping[str, str] = {
    "headers": r"(?m)^#{1,6}\s",
    "lists": r"(?m)^\s*(?:[-*+]|\d+[.)])\s",
    "bold": r"\*\*[^*\n]+\*\*|__[^_\n]+__",
}


def markup(text: str) -> dict[str, int]:
    """How many headers, items of lists, bold passages and blocks of code it has."""
    plain, blocks = re.subn(CODE, "", text)
    return {name: len(re.findall(pattern, plain)) for name, pattern in MARKUP.items()} | {"code": blocks}
