"""`fastchat up`: a whole system on one machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from fastchat.core.serving import run
from fastchat.launcher import config_file
from fastchat.launcher.command_lines import API_KEYS_ENV
from fastchat.launcher.config import Config, Surroundings
from fastchat.launcher.plan import fetch, make_plan, this_machine
from fastchat.launcher.problems import ConfigProblems, nowhere, problems_of
from fastchat.launcher.supervisor import Supervisor
from fastchat.launcher.views import choose_view

DESCRIPTION = """\
Start a controller, the API, a web page and one worker process for each model, keep them running, and stop them on
Ctrl-C. Without MODEL and --config it serves the small built-in model. What is given here wins over the file."""


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    file = config_file.load(flags.config) if flags.config else None
    config = _with_flags(file.config if file else Config(), flags)
    for entry in config.served:
        fetch(entry)
    models = make_plan(config.served, this_machine(), file.source.locate if file and not flags.models else nowhere)
    supervisor = Supervisor(config, models, choose_view(Console()))
    run(supervisor.run())
    if supervisor.failure:
        print(f"error: {supervisor.failure}", file=sys.stderr)
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastchat up", description=DESCRIPTION)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="a .gguf file, 'builtin', or 'scripted'")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="what to run; `fastchat config schema` describes it"
    )
    parser.add_argument("--host", help="address the API and the web page listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of the API and the web page (default: 8000)")
    parser.add_argument("--no-web", dest="web", action="store_const", const=False, help="leave the web page out")
    parser.add_argument("--log-dir", type=Path, metavar="DIR", help="where each process writes its log")
    parser.add_argument(
        "--api-keys",
        metavar="KEY,KEY",
        help=f"keys that clients must send one of; better in {API_KEYS_ENV}, as other users of the machine see flags",
    )
    return parser


def _with_flags(config: Config, flags: argparse.Namespace) -> Config:
    given = {name: getattr(flags, name) for name in ("host", "port", "web", "log_dir")}
    given["models"] = [{"model": model} for model in flags.models] or None
    given["api_keys"] = (flags.api_keys or "").split(",") if flags.api_keys else None
    changes = {name: value for name, value in given.items() if value is not None}
    surroundings = Surroundings(folder=Path.cwd(), environ=os.environ)
    try:
        return Config.model_validate(dict(config) | changes, context=surroundings)
    except ValidationError as error:
        raise ConfigProblems(problems_of(error)) from None
