"""Runs in the sandbox: makes a module of an answer, evaluates expressions in it, and writes what they gave.

What the values should be stays outside, so that an answer cannot read it here, nor call itself right.
"""

import ast
import json
import os
import sys
from types import CodeType, ModuleType
from typing import Any


def plain(value: Any) -> Any:
    """As JSON that keeps lists, tuples, sets and dictionaries apart. Everything else is told by its type."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [plain(item) for item in value]}
    if isinstance(value, set | frozenset):
        return {"set": sorted((plain(item) for item in value), key=json.dumps)}
    if isinstance(value, dict):
        return {"dict": sorted(([plain(key), plain(item)] for key, item in value.items()), key=json.dumps)}
    return {"other": type(value).__name__}


def parts(code: str) -> tuple[CodeType, CodeType]:
    """The statements before, and the expression that the last line is."""
    tree = ast.parse(code)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    return compile(tree, "<check>", "exec"), compile(ast.Expression(last.value), "<check>", "eval")


def outcome(code: str, names: dict[str, Any]) -> dict[str, Any]:
    before, last = parts(code)
    try:
        exec(before, names)
        return {"gave": plain(eval(last, names))}
    except Exception as error:
        return {"raised": [kind.__name__ for kind in type(error).__mro__], "message": str(error)[:500]}


def main() -> None:
    job = json.load(sys.stdin)
    results = os.dup(1)
    os.dup2(2, 1)  # what the answer prints is no result
    answer = ModuleType("answer")
    sys.modules["answer"] = answer  # dataclasses look their module up
    exec(compile(job["answer"], "<answer>", "exec"), answer.__dict__)
    found = [outcome(code, answer.__dict__) for code in job["runs"]]
    with os.fdopen(results, "w", encoding="utf-8") as opened:
        json.dump(found, opened)


if __name__ == "__main__":
    main()
