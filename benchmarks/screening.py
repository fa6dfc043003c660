"""Does reading along stay linear? CPU for ten times a text over CPU for the text, for texts made to be slow."""

import time
from collections.abc import Callable
from statistics import median

from benchmarks.results import Aim, Findings, Table
from fastchat.arena.folding import fold
from fastchat.arena.identity import asks_for_identity, names_itself

TITLE = "Screening: what texts made to be slow cost"
MODELS = ("smollm2-135m-instruct", "vicuna-7b-v1.5", "gpt-4o")
LONGEST = 20_000  # characters of the shorter text
TIMES_LONGER = 10
MOST = 30.0  # a quadratic one costs a hundred times as much

TEXTS = {
    "ordinary words": "i am a large language model ",
    "open quotation marks": "“",
    "marks upon marks": "\u0301",
    "numbers with commas": ",1",
    "a question again and again": "what model ",
    "Chinese without blanks": "我是大语言模型",
}
READERS: dict[str, Callable[[str], object]] = {
    "fold": fold,
    "names_itself": lambda text: names_itself(text, MODELS),
    "asks_for_identity": lambda text: asks_for_identity(text, MODELS),
}


def run(*, is_quick: bool) -> Findings:
    rounds = 1 if is_quick else 5
    size = LONGEST // 20 if is_quick else LONGEST
    for read in READERS.values():
        read("hello")  # patterns are compiled once
    rows, worst = [], 0.0
    for reader, read in READERS.items():
        for kind, piece in TEXTS.items():
            text = "i am " + piece * (size // len(piece))
            pairs = [(_cpu_s(read, text), _cpu_s(read, text * TIMES_LONGER)) for _ in range(rounds)]
            ratio = median(long / short for short, long in pairs)
            worst = max(worst, ratio)
            rows.append((reader, kind, median(long for _, long in pairs) * 1e3, ratio))
    table = Table(
        title=f"A text of {TIMES_LONGER * size:,} characters, and against a tenth of it",
        note=f"Median of {rounds} rounds, the two taking turns. {TIMES_LONGER} is linear, {TIMES_LONGER**2} quadratic.",
        columns=("what", "text", "CPU ms", "times a tenth of it"),
        rows=tuple(rows),
    )
    aim = Aim(
        key="screening.linear",
        text=f"Screening: CPU for {TIMES_LONGER} times a text, the worst",
        unit="x",
        at_most=MOST,
        measured=worst,
    )
    return Findings(tables=(table,), aims=(aim,))


def _cpu_s(read: Callable[[str], object], text: str) -> float:
    began = time.process_time()
    read(text)
    return max(time.process_time() - began, 1e-6)
