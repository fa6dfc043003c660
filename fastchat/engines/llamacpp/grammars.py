"""What is peculiar about grammars in llama.cpp: it drops one that does not compile, and says nothing.

We write them ourselves (`engines/grammars.py`) since the server's own `response_format` lets a small model fill its
answer with white space, and its `tool_choice` lets it talk instead of calling.
"""

import json

from pydantic_core import from_json

# Nothing a model would say by itself: see `probe`.
PROBE_MARK = "~!~!~"


def probe(grammar: str) -> str:
    """The grammar with a mark in front.

    llama.cpp drops a grammar that llguidance cannot compile and answers as if there were none; only whether the mark
    comes tells that it compiled.
    """
    return grammar.replace("start: answer", f'start: "{PROBE_MARK}" answer', 1)


def is_json(text: str, *, is_cut: bool) -> bool:
    """Whether an answer is JSON; one that `is_cut`, the beginning of some."""
    try:
        if is_cut:
            from_json(text.encode(errors="replace"), allow_partial=True)
        else:
            json.loads(text)
    except (ValueError, RecursionError) as error:
        # The cut may go through a number or a word; and half a pair of surrogates is bad taste, yet JSON.
        return is_cut and (str(error).startswith("EOF") or "surrogate" in str(error) or "hex escape" in str(error))
    return True
