"""`fastchat arena status|verify|log`: the log of votes, and whether it is still what was signed."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from fastchat.launcher.store_settings import StoreSettings

if TYPE_CHECKING:
    from fastchat.arena.exchange.evidence import Evidence
    from fastchat.arena.transparency.findings import Verdict
    from fastchat.arena.transparency.heads import LogKey
    from fastchat.arena.transparency.logfile import LogEnd

_DAMAGES = 20  # are listed


async def status(settings: StoreSettings, flags: argparse.Namespace) -> int:
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


async def verify(settings: StoreSettings, flags: argparse.Namespace) -> int:
    from fastchat.arena.exchange.evidence import examine
    from fastchat.arena.store.reading import voted
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
        evidence = None
    else:
        async with read_store(settings.address) as store:
            verdict = await store.audit(key, receipts=receipts, saved_heads=heads)
            damages = await store.problems()
            evidence = None if damages else await store.read(lambda connection: examine(voted(connection)))
    _print_verdict(verdict, damages, evidence)
    if log and not given:
        print("The key was taken from the file itself, which proves damage only. Give the log's --public-key.")
    is_good = verdict.is_valid and not damages and not (evidence and evidence.changed)
    return 0 if is_good else 1


def _public_key(given: str) -> "LogKey":
    from fastchat.arena.transparency.heads import LogKey

    file = Path(given)
    return LogKey.read(file.read_bytes() if file.is_file() else given)


def _print_verdict(verdict: "Verdict", damages: Sequence[str], evidence: "Evidence | None") -> None:
    """`damages`: what the database itself finds wrong, which may lie beside the log."""
    print(f"{verdict.leaves} votes, {verdict.heads} signed heads, log {verdict.log_id.hex()[:16]}")
    if verdict.root_hash is not None:
        print(f"root {verdict.root_hash.hex()}")
    if verdict.saved_heads or verdict.receipts:
        print(f"held against {verdict.saved_heads} saved heads and {verdict.receipts} receipts")
    if verdict.unsigned_leaves:
        print(f"{verdict.unsigned_leaves} of the newest votes are not signed yet")
    if evidence is not None:
        print(
            f"conversation, voter and marks: {evidence.bound} votes have those that they were bound to, "
            f"{evidence.erased} have none any more, {evidence.imported} were imported and are not checked"
        )
    for damage in damages[:_DAMAGES]:
        print(f"FOUND damaged_database: {damage}")
    if len(damages) > _DAMAGES:
        print(f"… and {len(damages) - _DAMAGES} more of these")
    problems = [*verdict.problems, *(evidence.problems if evidence else ())]
    for problem in problems:
        print(f"FOUND {problem.finding}: {problem.message}")
    changed = evidence.changed if evidence else 0
    if (total := sum(verdict.found.values()) + changed) > len(problems):
        print(f"… and {total - len(problems)} more of the same kinds")
    if not verdict.is_valid:
        print("NOT OK: this log is not what was signed.")
    elif damages:
        print("NOT OK: the votes are as they were signed, but the database is damaged beside them.")
    elif changed:
        print("NOT OK: the votes are as they were signed, but not what stands beside them.")
    else:
        print("OK: every signed vote is as it was when it was signed; none was changed, dropped or put in between.")


async def log(settings: StoreSettings, flags: argparse.Namespace) -> int:
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


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(" ", "seconds").replace("+00:00", " UTC")
