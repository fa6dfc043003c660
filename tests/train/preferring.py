"""A planted rule to learn from votes: whoever says "Of course!" wins. And a random Llama to learn it."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastchat.train.alignment_plan import AlignmentPlan, Lessons, Method
from fastchat.train.alignment_recipe import RECIPES
from fastchat.train.machine import Machine
from fastchat.train.preference_rules import Choice
from fastchat.train.preferences import Selection, preference, rated, select
from fastchat.train.voted_battles import VotedBattle
from tests.train.battles import battle
from tests.train.small import chatml_tokenizer, llama

_TEMPLATE = """{% for message in messages %}<|im_start|>{{ message.role }}
{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}{% else %}\
{{ message.content }}<|im_end|>{% endif %}

{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
_WORDS = ["Paris", "capital", "France", "language", "model", "help", "today", "Goodbye", "Hello", "answers", "chat"]


def base(folder: Path) -> Path:
    tokenizer = chatml_tokenizer()
    tokenizer.save_pretrained(folder)
    llama(len(tokenizer)).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(_TEMPLATE)
    return folder


def votes(number: int, *, shuffled: bool = False) -> list[VotedBattle]:
    """`shuffled`: the winner is drawn, whatever was said."""
    rng = random.Random(0)

    def said(*beginning: str) -> str:
        return " ".join([*beginning, *rng.choices(_WORDS, k=3)])

    found = []
    for place in range(number):
        good, bad = said("Of course!"), said("Tell me")
        answers, outcome = ((good, bad), "a") if rng.random() < 0.5 else ((bad, good), "b")
        if shuffled:
            outcome = rng.choice("ab")
        found.append(battle(f"v{place}", f"{said()} {place}", *answers, outcome))  # type: ignore[arg-type]
    return found


def chosen(battles: Sequence[VotedBattle], method: Method, held_out: float = 0.2) -> Selection:
    return select(battles, Choice(most_per_voter=None), held_out=held_out, seed=0, with_ties=method == "kto")


def lessons(selection: Selection, method: Method) -> Lessons:
    if method == "kto":
        return Lessons(*([one for pair in map(rated, side) for one in pair] for side in selection[:2]))
    return Lessons(*(list(map(preference, side)) for side in selection[:2]))


def plan(method: Method, model: Path, output: Path, given: Lessons, **recipe: Any) -> AlignmentPlan:
    values = {
        "model": str(model),
        "from_votes": ["votes.jsonl"],
        "output": output,
        "learning_rate": 1e-2,
        "precision": "fp32",
        "max_steps": 12,
        "max_length": 128,
        "global_batch": 8,
        "per_device_batch": 8,
        **recipe,
    }
    return RECIPES[method].model_validate(values).plan(given, Machine(has_accelerator=False, has_tf32=False), {})
