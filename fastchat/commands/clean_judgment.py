"""`python3 -m fastchat.llm_judge.clean_judgment`: a file of judgments without doubles, sorted."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    from fastchat.llm_judge.results.cleaning import cleaned

    found = cleaned(flags.infile, flags.models)
    out = flags.infile.with_name(f"{flags.infile.name.removesuffix('.gz').removesuffix('.jsonl')}_clean.jsonl")
    found.write(out)
    print(f"in models: {', '.join(found.models) or 'none'}, number: {len(found.models)}")
    missing = sorted({*flags.models} - {*found.models})
    if missing:
        print(f"missing models: {', '.join(missing)}, number: {len(missing)}")
    print(f"#in: {found.rows_read}, #out: {len(found.rows)}\n{out}: written")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clean_judgment", description="Write FILE_clean.jsonl: each judgment once, by model, question and turn."
    )
    parser.add_argument("--infile", type=Path, required=True, metavar="FILE", help="…_single.jsonl or …_pair.jsonl")
    parser.add_argument("--models", nargs="+", default=[], metavar="MODEL", help="keep only these (default: all)")
    return parser
