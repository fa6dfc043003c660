"""`fastchat arena backup|restore|export|import|release|erase`: what goes out of a store and comes into it."""

import argparse
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastchat import __version__
from fastchat.core.errors import SetupError
from fastchat.launcher.store_settings import StoreSettings

if TYPE_CHECKING:
    from fastchat.arena.store.reading import Range

_DAY_S = 86400


async def backup(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.store.store import read_store

    async with read_store(settings.address) as store:
        await store.backup(flags.path)
    print(f"{flags.path}: written. The keys in {settings.folder} are not in it; keep a copy of them elsewhere.")
    return 0


async def restore(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.store.backup import restore

    votes = restore(flags.path, settings.address)
    print(f"{votes} votes restored. Put the keys of that arena into {settings.folder}, then: fastchat arena verify")
    return 0


async def export(settings: StoreSettings, flags: argparse.Namespace) -> int:
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


async def bring(settings: StoreSettings, flags: argparse.Namespace) -> int:
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


async def release(settings: StoreSettings, flags: argparse.Namespace) -> int:
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


async def erase(settings: StoreSettings, flags: argparse.Namespace) -> int:
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
