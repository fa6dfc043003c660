"""Finds the Python in a model's answer: prose, a fenced block or several, or bare code."""

import ast
import re
import warnings
from collections.abc import Iterator
from threading import Lock

# Answers write "\d" where they should not, and the parser warns us. Filters of warnings belong to the process: two
# threads that put them back in the wrong order would leave warnings off.
_QUIET = Lock()
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_PYTHON = frozenset({"", "python", "py", "python3"})
_OPENING = re.compile(r"[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+-]*)[^\n]*")


def code_of(answer: str, names: frozenset[str]) -> str | None:
    """Of the blocks from the last to the first, all blocks together, and the answer itself, what defines most `names`.

    A model that shows a draft first ends with its solution; one that explains in steps spreads it over blocks. None:
    there is no Python that defines one of the names.
    """
    text = _THOUGHT.sub("", answer, count=1)
    blocks = [block for block in fenced(text) if _defined(block) is not None]
    candidates = [*reversed(blocks), "\n".join(blocks), text]
    shares = [len(names & (_defined(code) or frozenset())) for code in candidates]
    return candidates[shares.index(max(shares))] if any(shares) else None


def fenced(text: str) -> Iterator[str]:
    """Blocks of Python, or of no language. One that is never closed runs to the end: the answer was cut off there."""
    lines = iter(text.splitlines())
    for line in lines:
        opening = _OPENING.fullmatch(line)
        if opening is None:
            continue
        indent, inside = len(line) - len(line.lstrip()), []
        for line in lines:
            if line.strip().startswith(opening["fence"]) and not line.strip().strip(opening["fence"][0]):
                break
            inside.append(line[indent:] if not line[:indent].strip() else line)
        if opening["language"].lower() in _PYTHON:
            yield "\n".join(inside) + "\n"


def _defined(code: str) -> frozenset[str] | None:
    try:
        with _QUIET, warnings.catch_warnings(action="ignore"):
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last three: what no person would write
        return None
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(found)
