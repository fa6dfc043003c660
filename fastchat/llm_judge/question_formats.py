"""Rows of other benchmarks' question files as ours, told apart by the fields they have.

What a row says beyond a question's own fields stays with the question: checklists, clusters, answers of other models.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

Fields: TypeAlias = dict[str, Any]  # whatever stands in a JSON object


class Format(NamedTuple):
    needs: frozenset[str]  # a row that has these is one of this format
    convert: Callable[[Fields, int], Fields]  # the row and its number in the file, from 1


def as_question(row: Mapping[str, Any], number: int) -> Fields:
    """The fields of a `Question`; which of them are right is not looked at.

    Raises:
        KeyError, TypeError: the row lacks what its format has, or has it in another shape.
    """
    convert = next((one.convert for one in _FORMATS if one.needs <= row.keys()), _plain)
    return convert(dict(row), number)


def _plain(row: Fields, number: int) -> Fields:
    """Ours, FastChat's, MT-bench's. `question`, or Vicuna's `text`, is an only turn; a reference may stand alone."""
    if "turns" not in row:
        text = next((row.pop(key) for key in ("question", "text") if key in row), None)
        if text is not None:
            row["turns"] = [text]
    elif isinstance(row["turns"], list):  # first edition of Arena-Hard: {"content": "..."}
        row["turns"] = [turn["content"] if isinstance(turn, dict) else turn for turn in row["turns"]]
    if isinstance(row.get("reference"), str):
        row["reference"] = [row["reference"]]
    return row


def _arena_hard(row: Fields, number: int) -> Fields:
    """Arena-Hard: {"uid": "8fc6…", "category": "hard_prompt", "subcategory": "coding", "prompt": "…"}

    Version 0.1 has a `cluster`; copies of it have `turns`.
    """
    text = {"question": row.pop("prompt")} if "prompt" in row else {}
    return _plain({"question_id": row.pop("uid")} | text | row, number)


def _alpaca_eval(row: Fields, number: int) -> Fields:
    """AlpacaEval: {"dataset": "helpful_base", "instruction": "…", "output": "…"}: no ids, so they are counted.

    The output is a model's answer to compare with, not a truth: it is not taken as a reference.
    """
    return {"question_id": number, "category": row.get("dataset", ""), "turns": [row.pop("instruction")]} | row


def _wildbench(row: Fields, number: int) -> Fields:
    """WildBench: {"id": "…", "primary_tag": "Planning", "conversation_input": [{"role": "user", "content": "…"}]}

    Only the last message is to be answered. What was said before stands above it, since it was said by another model.
    """
    *before, last = row["conversation_input"]
    text = last["content"]
    if before:
        text = f"{_transcript(before)}\n\nThis is my next message:\n\n{text}"
    return {"question_id": row.pop("id"), "category": row.get("primary_tag", ""), "turns": [text]} | row


def _transcript(messages: Sequence[Mapping[str, str]]) -> str:
    said = [f"{'Me' if one['role'] == 'user' else 'You'}: {one['content']}" for one in messages]
    return "\n\n".join(["This is our conversation so far.", *said])


def _mt_bench_101(row: Fields, number: int) -> Fields:
    """MT-Bench-101: {"task": "GR", "id": 1, "history": [{"user": "…", "bot": "…"}]}

    The answers recorded in it are kept, but not given to the model: it goes on from its own, as everywhere here.
    """
    turns = [turn["user"] for turn in row["history"]]
    return {"question_id": row.pop("id"), "category": row.pop("task"), "turns": turns} | row


_FORMATS = (
    Format(frozenset({"uid"}), _arena_hard),
    Format(frozenset({"id", "conversation_input"}), _wildbench),
    Format(frozenset({"task", "id", "history"}), _mt_bench_101),
    Format(frozenset({"instruction", "output"}), _alpaca_eval),
)
