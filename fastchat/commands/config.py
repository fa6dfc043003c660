"""`fastchat config`: check a fastchat.yaml before it is used, or print its JSON Schema."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from fastchat.launcher import config_file
from fastchat.launcher.config import Config
from fastchat.launcher.plan import make_plan, summary, this_machine


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="fastchat config", description="Check or describe a fastchat.yaml.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("schema", help="print the JSON Schema, for editors and other programs")
    check = actions.add_parser("check", help="say what a file would start, or everything that is wrong with it")
    check.add_argument("file", type=Path, metavar="FILE")
    flags = parser.parse_args(argv)
    if flags.action == "schema":
        print(json.dumps(Config.model_json_schema(), indent=2))
    else:
        _check(flags.file)


def _check(path: Path) -> None:
    config, source = config_file.load(path)
    machine = this_machine()
    models = make_plan(config.served, machine, source.locate)
    print(f"{path}: OK")
    for line in summary(models, machine):
        print(f"  {line}")
