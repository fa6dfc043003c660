"""`fastchat data clean` as measured: python -m benchmarks.cleaning_ways same|near IN OUT WORKERS

`same` are the rules of FastChat's clean_sharegpt; `near` drops near duplicates, too.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from benchmarks.peers.stopwatch import report

RULES = ("plugins", "html", "roles", "short", "words", "ids", "duplicates")
WAYS = {"same": RULES, "near": (*RULES, "near-duplicates")}
_WORDS = ("openai", "chatgpt")  # that FastChat blocks
_MODULES = (
    *("fastchat.data.cleaning.choosing", "fastchat.data.cleaning.stream", "fastchat.data.writers"),
    *("fastchat.commands.data", "html_to_markdown", "orjson", "rensa", "xxhash"),
)


def clean(rules: Sequence[str], source: str, target: str, workers: str) -> Mapping[str, float]:
    from fastchat.commands.data import main

    named = ("--rules", ",".join(rules), "--words", ",".join(_WORDS), "--questions", "none", "--workers", workers)
    main(["clean", source, target, *named])
    return {}


if __name__ == "__main__":
    way, *files = sys.argv[1:]
    for module in _MODULES:
        import_module(module)
    report(lambda: clean(WAYS[way], *files))
