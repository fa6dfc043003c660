"""`python3 -m fastchat.llm_judge.download_mt_bench_pregenerated`: what the authors of MT-bench published beside it.

Answers and verdicts go where FastChat's commands look for them. What is there already is left as it is.
"""

import argparse
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    from fastchat.llm_judge.question_hub import fetch

    published = tomllib.loads((files("fastchat.llm_judge") / "data" / "mt_bench_pregenerated.toml").read_text("utf-8"))
    for name in _names(published["models"], published["judgments"]):
        target: Path = flags.output / name
        if target.exists():
            print(f"{target}: is there already")
            continue
        found = fetch(f"{published['repository']}/{published['folder']}/{name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(".partial")
        shutil.copyfile(found, draft)
        draft.replace(target)
        print(f"{target}: written")
    if not (flags.output / "question.jsonl").exists():
        print(f"The questions stand elsewhere: put fastchat/llm_judge/{published['folder']}/question.jsonl of")
        print(f"lm-sys/FastChat into {flags.output} to see categories, too.")
    print(f"What the verdicts say: fastchat bench show {flags.output}")


def _names(models: Sequence[str], judgments: Sequence[str]) -> Iterator[str]:
    yield from (f"model_answer/{model}.jsonl" for model in models)
    yield from (f"model_judgment/{judgment}.jsonl" for judgment in judgments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="download_mt_bench_pregenerated",
        description="Fetch the answers of 31 models to MT-bench, and GPT-4's verdicts on them, from the hub "
        "(HF_ENDPOINT names another, HF_HOME where its files are kept).",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("data/mt_bench"), metavar="DIR", help="default: %(default)s"
    )
    return parser
