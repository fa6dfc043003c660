"""The same voter on answers that no arena drew: those of `fastchat bench answer` to other questions.

python runs/flywheel/outside.py questions FILE.jsonl [N]       first turns of our own bench
python runs/flywheel/outside.py votes FOLDER FILE.jsonl RULE SHARPNESS SEED
"""

import json
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastchat.arena.simulation.rules import Rule, parse_rule
from fastchat.llm_judge.questions import read_questions

PARENT, RIVALS = "parent", ("tuned", "placebo")


def first_turns(count: int | None) -> Iterator[dict[str, Any]]:
    for question in read_questions("fastchat_bench", first_n=count).questions:
        yield {"question_id": question.question_id, "category": question.category, "turns": [question.turns[0]]}


def votes(answers: Mapping[str, Mapping[str, str]], rule: Rule, seed: int) -> Iterator[dict[str, Any]]:
    """Of each rival against the parent, on each question once. `answers`: model → question → answer."""
    for rival in RIVALS:
        for question, answer in sorted(answers[rival].items()):
            dice = random.Random(f"{seed}/{rival}/{question}")
            sides = [(rival, answer), (PARENT, answers[PARENT][question])]
            dice.shuffle(sides)
            (left, said_left), (right, said_right) = sides
            winner = rule.vote(said_left, said_right, dice).value
            yield {"model_a": left, "model_b": right, "winner": winner, "question_id": f"{rival}-{question}"}


def read_answers(folder: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for model in (PARENT, *RIVALS):
        lines = (folder / "model_answer" / f"{model}.jsonl").read_text("utf-8").splitlines()
        rows = map(json.loads, lines)
        found[model] = {str(row["question_id"]): row["choices"][0]["turns"][0] for row in rows}
    return found


def main(action: str, *given: str) -> None:
    if action == "questions":
        target, count = given[0], int(given[1]) if len(given) > 1 else None
        rows = first_turns(count)
    else:
        folder, target, name, sharpness, seed = given
        rule = replace(parse_rule(name), sharpness=float(sharpness))
        rows = votes(read_answers(Path(folder)), rule, int(seed))
    Path(target).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
