"""How well rules over words agree with people's labels, on real prompts that were not looked at when they were written.

On all 389 held-out prompts of Arena-Hard v2.0, precision and recall were .77 and .79 for code, .74 and .50 for maths,
.98 and .68 for creative writing. Its labels come from clusters of prompts and are not without faults themselves.
"""

import json
from pathlib import Path

import pytest

from fastchat.arena.leaderboard.categories import categories_of
from tests.arena.leaderboard.test_categories import votes

PROMPTS = Path(__file__).parents[2] / "data" / "categories" / "arena_hard_prompts.jsonl"


@pytest.mark.parametrize(
    ("name", "label", "precision", "recall"),
    [("code", "coding", 0.75, 0.75), ("math", "math", 0.8, 0.5), ("creative_writing", "creative_writing", 0.95, 0.6)],
)
def test_rules_agree_with_labels(name: str, label: str, precision: float, recall: float) -> None:
    rows = [json.loads(line) for line in PROMPTS.read_text("utf-8").splitlines()]
    mask = categories_of(votes([[row["prompt"], "a"] for row in rows]), [name])[name].to_list()
    hits = sum(is_in and row["category"] == label for is_in, row in zip(mask, rows, strict=True))
    assert hits / sum(mask) >= precision
    assert hits / sum(row["category"] == label for row in rows) >= recall
