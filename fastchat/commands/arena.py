"""`fastchat arena`: what an operator does with votes and conversations, beside the page that collects them."""

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic_settings import SettingsConfigDict

from fastchat import __version__
from fastchat.__main__ import run_command
from fastchat.core.errors import FastChatError, MissingPackage, SetupError
from fastchat.core.places import data_dir
from fastchat.core.settings import Settings, setting

if TYPE_CHECKING:
    from fastchat.arena.store.reading import Range
    from fastchat.arena.transparency.findings import Verdict
    from fastchat.arena.transparency.heads import LogKey, Signer
    from fastchat.arena.transparency.logfile import LogEnd

_DAY_S = 86400
_DAMAGES = 20  # are listed
_FORMATS = ("fastchat", "parquet", "jsonl")


class StoreSettings(Settings):
    """Where the arena's data are; the page's environment variables, so that both mean the same store."""

    model_config = SettingsConfigDict(env_prefix="FASTCHAT_WEB_")
    database_url: str | None = setting(None, "where conversations and votes are kept; a file in --data-dir if unset")
    data_dir: Path | None = setting(None, "folder of the database and the keys; FASTCHAT_DATA_DIR if unset")

    @property
    def folder(self) -> Path:
        return self.data_dir or data_dir()

    @property
    def address(self) -> str:
        from fastchat.web.process import DATABASE

        return self.database_url or str(self.folder / DATABASE)

    def signer(self) -> "Signer":
        """Made if there is none."""
        from fastchat.arena.transparency.heads import Signer
        from fastchat.web.process import LOG_KEY

        return Signer.load(self.folder / LOG_KEY)

    def known_signer(self) -> "Signer":
        """Of an arena that is there already.

        Raises:
            SetupError: there is no key.
        """
        from fastchat.arena.transparency.heads import Signer
        from fastchat.web.process import LOG_KEY

        file = self.folder / LOG_KEY
        if not file.exists():
            raise SetupError(
                f"There is no key of an arena at {file}. Give the folder of its data with --data-dir; to 'verify', the "
                "log's --public-key will do."
            )
        return Signer.load(file)

    def public_key(self) -> "LogKey":
        """
        Raises:
            SetupError: there is no key that it could be derived from.
        """
        return self.known_signer().public

    def secret(self) -> bytes:
        from fastchat.access.secret import load_key
        from fastchat.web.process import SECRET

        return load_key(self.folder / SECRET)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["serve"]:
        run_command("web", ["--arena", *arguments[1:]])
        return
    flags = _parser().parse_args(arguments)
    for package in ("sqlalchemy", "cryptography"):
        if find_spec(package) is None:
            raise MissingPackage(package, "arena", "The arena")
    run: Callable[[StoreSettings, argparse.Namespace], Coroutine[Any, Any, int]] = flags.run
    try:
        status = asyncio.run(run(StoreSettings(**vars(flags)), flags))
    except OSError as error:
        place = f" {error.filename!r}" if error.filename else ""
        raise SetupError(f"A file{place} cannot be read or written: {error.strerror or error}.") from None
    except FastChatError as error:
        raise SetupError(error.message) from None
    if status:
        raise SystemExit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastchat arena", description="Votes and conversations of an arena.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("serve", help="serve the page with the arena; flags as of: fastchat web", add_help=False)

    status = _action(actions, "status", _status, "how much there is, and the newest signed head")
    status.add_argument("--json", action="store_true", help="for programs")

    verify = _action(actions, "verify", _verify, "prove that no vote was changed, dropped or put in later")
    verify.add_argument("--log", type=Path, metavar="FILE", help="an exported log (default: the store)")
    verify.add_argument(
        "--head", type=Path, action="append", default=[], metavar="FILE", help="a signed head you kept; repeatable"
    )
    verify.add_argument(
        "--receipt", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help="receipts of voters"
    )
    verify.add_argument("--public-key", metavar="KEY", help="the log's public key: base64, or a file (default: ours)")

    log = _action(actions, "log", _log, "write the public log, which anybody can verify")
    log.add_argument("out", type=Path, metavar="OUT", help="a file, or - for the terminal")

    backup = _action(actions, "backup", _backup, "copy the database, also while the arena runs")
    backup.add_argument("path", type=Path, metavar="PATH")
    restore = _action(actions, "restore", _restore, "bring a backup into an empty database")
    restore.add_argument("path", type=Path, metavar="PATH")

    export = _action(actions, "export", _export, "write conversations or votes for other programs")
    export.add_argument("out", type=Path, metavar="OUT", help="a file; of the format fastchat a folder")
    export.add_argument("--format", choices=_FORMATS, required=True)
    export.add_argument("--no-text", action="store_true", help="votes without conversations (parquet, jsonl)")
    export.add_argument("--arena", help="of one arena (default: all)")
    export.add_argument("--since", type=_moment, metavar="TIME", help="a date or time, UTC where no zone is given")
    export.add_argument("--until", type=_moment, metavar="TIME", help="likewise; what happens then is left out")

    bring = _action(actions, "import", _import, "take in FastChat's logs; what is there already stays as it is")
    bring.add_argument("files", type=Path, nargs="+", metavar="FILE", help="YYYY-MM-DD-conv.json")
    bring.add_argument("--arena", default="default", help="where they belong (default: %(default)s)")
    bring.add_argument("--strict", action="store_true", help="stop at the first line that is none of FastChat's")

    release = _action(actions, "release", _release, "write votes for the public, without personal data")
    release.add_argument("out", type=Path, metavar="OUT", help="an empty folder")
    release.add_argument(
        "--arenas", type=Path, required=True, metavar="FILE", help="YAML file that describes the arenas"
    )
    release.add_argument("--date", type=date.fromisoformat, metavar="DAY", help="of the release (default: today)")
    release.add_argument("--key-file", type=Path, metavar="FILE", help="makes it repeatable (default: a new key)")
    release.add_argument("--k", type=int, default=1, metavar="N", help="voters that share a day (default: %(default)s)")
    release.add_argument("--ner-model", metavar="NAME", help="an installed spaCy model, to find names in running text")

    erase = _action(actions, "erase", _erase, "erase texts and voters; votes stay in the log without them")
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


async def _status(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.store.reading import counts
    from fastchat.arena.store.store import read_store
    from fastchat.arena.store.votes import newest_head

    async with read_store(settings.address) as store:
        found, head = await store.read(counts), await store.read(newest_head)
    if flags.json:
        print(json.dumps({**asdict(found), "head": head and head.as_json()}))
        return 0
    for name, value in asdict(found).items():
        print(f"{name:<14} {value}")
    if head is None:
        print("newest head    none: there are no votes")
    else:
        print(f"newest head    {head.tree_size} votes, {_time(head.signed_at)}, root {head.root_hash.hex()}")
    return 0


async def _verify(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.store.store import read_store
    from fastchat.arena.transparency.logfile import read_head, read_log_key, verify_file
    from fastchat.arena.transparency.receipts import read_receipt

    given, log = flags.public_key, flags.log
    key = _public_key(given) if given else read_log_key(log) if log else settings.public_key()
    heads = [read_head(file) for file in flags.head]
    receipts = [read_receipt(file) for file in flags.receipt]
    if log:
        verdict = verify_file(log, key, receipts=receipts, saved_heads=heads)
        damages: list[str] = []
    else:
        async with read_store(settings.address) as store:
            verdict = await store.audit(key, receipts=receipts, saved_heads=heads)
            damages = await store.problems()
    _print_verdict(verdict, damages)
    if log and not given:
        print("The key was taken from the file itself, which proves damage only. Give the log's --public-key.")
    return 1 if damages or not verdict.is_valid else 0


def _public_key(given: str) -> "LogKey":
    from fastchat.arena.transparency.heads import LogKey

    file = Path(given)
    return LogKey.read(file.read_bytes() if file.is_file() else given)


def _print_verdict(verdict: "Verdict", damages: Sequence[str]) -> None:
    """`damages`: what the database itself finds wrong, which may lie beside the log."""
    print(f"{verdict.leaves} votes, {verdict.heads} signed heads, log {verdict.log_id.hex()[:16]}")
    if verdict.root_hash is not None:
        print(f"root {verdict.root_hash.hex()}")
    if verdict.saved_heads or verdict.receipts:
        print(f"held against {verdict.saved_heads} saved heads and {verdict.receipts} receipts")
    if verdict.unsigned_leaves:
        print(f"{verdict.unsigned_leaves} of the newest votes are not signed yet")
    for damage in damages[:_DAMAGES]:
        print(f"FOUND damaged_database: {damage}")
    if len(damages) > _DAMAGES:
        print(f"… and {len(damages) - _DAMAGES} more of these")
    if verdict.is_valid and damages:
        print("NOT OK: the votes are as they were signed, but the database is damaged beside them.")
        return
    if verdict.is_valid:
        print("OK: every signed vote is as it was when it was signed; none was changed, dropped or put in between.")
        return
    for problem in verdict.problems:
        print(f"FOUND {problem.finding}: {problem.message}")
    listed = len(verdict.problems)
    if (total := sum(verdict.found.values())) > listed:
        print(f"… and {total - listed} more of the same kinds")
    print("NOT OK: this log is not what was signed.")


async def _log(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.exchange.outputs import whole_or_nothing
    from fastchat.arena.store.store import read_store
    from fastchat.arena.store.votes import heads, leaves
    from fastchat.arena.transparency.logfile import write_log

    key = settings.public_key()
    async with read_store(settings.address) as store:

        def write(file: BinaryIO, rows: Any) -> "LogEnd":  # Any: an SQLAlchemy connection
            with closing(leaves(rows)) as all_leaves, closing(heads(rows)) as all_heads:
                return write_log(file, key, all_leaves, all_heads)

        if str(flags.out) == "-":
            await store.read(lambda rows: write(sys.stdout.buffer, rows))
            return 0
        with whole_or_nothing(flags.out) as file:
            end = await store.read(lambda rows: write(file, rows))
    print(f"{flags.out}: {end.leaves} votes, {end.heads} signed heads; public key {key.text}")
    return 0


async def _backup(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.store.store import read_store

    async with read_store(settings.address) as store:
        await store.backup(flags.path)
    print(f"{flags.path}: written. The keys in {settings.folder} are not in it; keep a copy of them elsewhere.")
    return 0


async def _restore(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.store.backup import restore

    votes = restore(flags.path, settings.address)
    print(f"{votes} votes restored. Put the keys of that arena into {settings.folder}, then: fastchat arena verify")
    return 0


async def _export(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.exchange import exporting
    from fastchat.arena.store.reading import Range, transcripts
    from fastchat.arena.store.store import read_store

    wanted = Range(flags.arena, flags.since, flags.until)
    async with read_store(settings.address) as store:
        if flags.format == "fastchat":
            lines = await store.read(
                lambda rows: exporting.export(transcripts(rows, Range(flags.arena)), flags.out, wanted)
            )
            print(f"{flags.out}: {lines} lines")
            return 0
        votes = await store.read(lambda rows: _write_table(rows, settings, flags, wanted))
    print(f"{flags.out}: {votes} votes")
    return 0


def _write_table(rows: Any, settings: StoreSettings, flags: argparse.Namespace, wanted: "Range") -> int:
    """Any: an SQLAlchemy connection, which only some commands need."""
    from fastchat.arena.exchange.vote_table import TableOptions, vote_rows, write_table
    from fastchat.arena.store.reading import Range, voted

    options = TableOptions(settings.secret(), with_text=not flags.no_text)
    votes = vote_rows(voted(rows, Range(flags.arena)), options, wanted)
    return write_table(votes, flags.out, is_parquet=flags.format == "parquet")


async def _import(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.exchange.importing import Importer, refuse
    from fastchat.arena.exchange.keys import keys_of
    from fastchat.arena.exchange.log_files import RawLine
    from fastchat.arena.store.store import open_store

    def tell(raw: RawLine, reason: str) -> None:
        print(f"{raw.place} {reason}; skipped", file=sys.stderr)

    on_malformed = refuse if flags.strict else tell
    async with open_store(settings.address, settings.signer()) as store:
        importer = Importer(store, keys_of(settings.secret()), flags.arena, time.time, on_malformed)
        counts = await importer.run(flags.files)
    for count, number in counts.items():
        if number:
            print(f"{number:>9} {count}")
    return 0


async def _release(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.access.secret import load_key
    from fastchat.arena.arenas_file import read_arenas
    from fastchat.arena.exchange.release import ReleaseOptions, write_release
    from fastchat.arena.store.store import read_store

    key_file = flags.key_file
    options = ReleaseOptions(
        key=load_key(key_file) if key_file else secrets.token_bytes(32),
        day=flags.date or datetime.now(UTC).date(),
        arenas=read_arenas(flags.arenas),
        code_version=__version__,
        k=flags.k,
        ner_model=flags.ner_model,
    )
    async with read_store(settings.address) as store:
        manifest = await store.read(lambda rows: write_release(rows, flags.out, options))
    for step in manifest["waterfall"]:
        why = f": {step['why']} ({step['count']})" if "why" in step else ""
        print(f"{step['left']:>9} {step['what']}{why}")
    for limit in manifest["personal_data"]["limits"]:
        print(f"Note: {limit}")
    return 0


async def _erase(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.store.reading import is_conversation, voter_called
    from fastchat.arena.store.store import open_store

    if flags.older_than is not None and not flags.older_than >= 0:  # NaN, too
        raise SetupError(f"--older-than {flags.older_than:g}: give a number of days, 0 or more.")
    now = time.time()
    async with open_store(settings.address, settings.known_signer()) as store:
        if voter := flags.voter:
            voter_id = await store.read(lambda rows: voter_called(rows, voter))
            if voter_id is None:
                raise SetupError(f"--voter {voter}: there is no such voter.")
            await store.erase_voter(voter_id, now)
            print(f"voter {voter_id}: erased")
        elif conversation := flags.conversation:
            if not await store.read(lambda rows: is_conversation(rows, conversation)):
                raise SetupError(f"--conversation {conversation}: there is no such conversation.")
            await store.erase_conversation(conversation, now)
            print(f"conversation {conversation}: erased")
        else:
            count = await store.erase_older(flags.arena, now - flags.older_than * _DAY_S, now)
            print(f"{count} conversations erased")
    return 0


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(" ", "seconds").replace("+00:00", " UTC")
