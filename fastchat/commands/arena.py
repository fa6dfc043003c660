"""`fastchat arena`: what an operator does with votes and conversations, beside the page that collects them."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastchat.__main__ import run_command
from fastchat.commands import arena_data, arena_log
from fastchat.core.actions import end_with
from fastchat.core.errors import MissingPackage
from fastchat.launcher.store_settings import StoreSettings

_FORMATS = ("fastchat", "parquet", "jsonl")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["serve"]:
        run_command("web", ["--arena", *arguments[1:]])
        return
    if arguments[:1] == ["simulate"]:
        run_command("arena_simulate", arguments[1:])
        return
    flags = _parser().parse_args(arguments)
    for package in ("sqlalchemy", "cryptography"):
        if find_spec(package) is None:
            raise MissingPackage(package, "arena", "The arena")
    run: Callable[[StoreSettings, argparse.Namespace], Coroutine[Any, Any, int]] = flags.run
    end_with(lambda: asyncio.run(run(StoreSettings(**vars(flags)), flags)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastchat arena", description="Votes and conversations of an arena.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("serve", help="serve the page with the arena; flags as of: fastchat web", add_help=False)
    actions.add_parser("simulate", help="have programs battle and vote by a stated rule", add_help=False)

    status = _action(actions, "status", arena_log.status, "how much there is, and the newest signed head")
    status.add_argument("--json", action="store_true", help="for programs")

    verify = _action(actions, "verify", arena_log.verify, "prove that no vote was changed, dropped or put in later")
    verify.add_argument("--log", type=Path, metavar="FILE", help="an exported log (default: the store)")
    verify.add_argument(
        "--head", type=Path, action="append", default=[], metavar="FILE", help="a signed head you kept; repeatable"
    )
    verify.add_argument(
        "--receipt", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help="receipts of voters"
    )
    verify.add_argument("--public-key", metavar="KEY", help="the log's public key: base64, or a file (default: ours)")

    log = _action(actions, "log", arena_log.log, "write the public log, which anybody can verify")
    log.add_argument("out", type=Path, metavar="OUT", help="a file, or - for the terminal")

    backup = _action(actions, "backup", arena_data.backup, "copy the database, also while the arena runs")
    backup.add_argument("path", type=Path, metavar="PATH")
    restore = _action(actions, "restore", arena_data.restore, "bring a backup into an empty database")
    restore.add_argument("path", type=Path, metavar="PATH")

    export = _action(actions, "export", arena_data.export, "write conversations or votes for other programs")
    export.add_argument("out", type=Path, metavar="OUT", help="a file; of the format fastchat a folder")
    export.add_argument("--format", choices=_FORMATS, required=True)
    export.add_argument("--no-text", action="store_true", help="votes without conversations (parquet, jsonl)")
    export.add_argument("--arena", help="of one arena (default: all)")
    export.add_argument("--since", type=_moment, metavar="TIME", help="a date or time, UTC where no zone is given")
    export.add_argument("--until", type=_moment, metavar="TIME", help="likewise; what happens then is left out")

    bring = _action(actions, "import", arena_data.bring, "take in FastChat's logs; what is there stays as it is")
    bring.add_argument("files", type=Path, nargs="+", metavar="FILE", help="YYYY-MM-DD-conv.json")
    bring.add_argument("--arena", default="default", help="where they belong (default: %(default)s)")
    bring.add_argument("--strict", action="store_true", help="stop at the first line that is none of FastChat's")

    release = _action(actions, "release", arena_data.release, "write votes for the public, without personal data")
    release.add_argument("out", type=Path, metavar="OUT", help="an empty folder")
    release.add_argument(
        "--arenas", type=Path, required=True, metavar="FILE", help="YAML file that describes the arenas"
    )
    release.add_argument("--date", type=date.fromisoformat, metavar="DAY", help="of the release (default: today)")
    release.add_argument("--key-file", type=Path, metavar="FILE", help="makes it repeatable (default: a new key)")
    release.add_argument("--k", type=int, default=1, metavar="N", help="voters that share a day (default: %(default)s)")
    release.add_argument("--ner-model", metavar="NAME", help="an installed spaCy model, to find names in running text")

    erase = _action(actions, "erase", arena_data.erase, "erase texts and voters; votes stay in the log without them")
    what = erase.add_mutually_exclusive_group(required=True)
    what.add_argument("--voter", metavar="ID", help="or a login")
    what.add_argument("--conversation", metavar="ID")
    what.add_argument("--older-than", type=float, metavar="DAYS", help="conversations untouched for so long")
    erase.add_argument("--arena", default="default", help="with --older-than (default: %(default)s)")
    return parser


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[StoreSettings, argparse.Namespace], Coroutine[Any, Any, int]],
    summary: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    for setting_name, field in StoreSettings.model_fields.items():
        flag, metavar = f"--{setting_name.replace('_', '-')}", setting_name.rpartition("_")[2].upper()
        parser.add_argument(flag, help=field.description, metavar=metavar, default=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    return parser


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it as 2026-01-31 or 2026-01-31T12:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
