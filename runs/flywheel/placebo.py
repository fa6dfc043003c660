"""Pairs of which half, drawn by a seed, have changed places: what won lost. As many questions and answers to learn from
as before, and nothing that the votes said.

python runs/flywheel/placebo.py PAIRS.jsonl PLACEBO.jsonl SEED
"""

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def turned_round(pairs: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Any: rows of `fastchat train preferences`, as JSON. Of an odd number the larger half stays."""
    turned = set(random.Random(seed).sample(range(len(pairs)), len(pairs) // 2))
    return [
        {**pair, "chosen": pair["rejected"], "rejected": pair["chosen"]} if number in turned else pair
        for number, pair in enumerate(pairs)
    ]


def main(source: str, target: str, seed: str) -> None:
    pairs = [json.loads(line) for line in Path(source).read_text("utf-8").splitlines()]
    lines = (json.dumps(pair, ensure_ascii=False) + "\n" for pair in turned_round(pairs, int(seed)))
    Path(target).write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
