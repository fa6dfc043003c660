"""A public release: votes without the voters, and the texts of those who agreed, without what leads to a person.

    OUT/votes.parquet     a row a vote, as in `vote_table`; times are days, `judge` is known in this release only
    OUT/manifest.json     what is in it, what was dropped and why, what was looked for, and the SHA-256 of each file

Rows stand in no order. The same store, key and date give the same bytes.
"""

import hashlib
import json
import os
import random
import tempfile
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection

from fastchat.access.secret import keyed_hash
from fastchat.arena.config import ArenaConfig
from fastchat.arena.exchange.personal_data.finder import Cleaner, Finder, Unreadable
from fastchat.arena.exchange.vote_table import (
    TableOptions,
    VoteRow,
    parquet_from_jsonl,
    require_polars,
    vote_row,
    write_jsonl,
)
from fastchat.arena.records import Mark
from fastchat.arena.store.reading import Range, VotedConversation, newest_consents, voted
from fastchat.arena.store.votes import newest_head
from fastchat.core.errors import SetupError

FORMAT = "fastchat-release/1"
MANIFEST = "manifest.json"
VOTES = "votes.parquet"

_FLAGGED = {Mark.FLAGGED_PROMPT, Mark.FLAGGED_ANSWER}
# What only a text could tell, or what would lead back to the public log, which has the second of every vote.
_LEFT_OUT = ("vote_id", "dwell_s", "reasons")
_TEXTS = ("conv_a", "conv_b")
_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class ReleaseOptions:
    key: bytes
    day: date
    arenas: Mapping[str, ArenaConfig]
    code_version: str
    k: int = 1  # voters that share what a row says about its voter
    ner_model: str | None = None


@dataclass(slots=True)
class _Tally:
    votes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    without_text: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    generalised: Counter[str] = field(default_factory=Counter)
    rows: int = 0


def write_release(connection: Connection, folder: Path, options: ReleaseOptions) -> dict[str, Any]:
    """The manifest.

    Raises:
        SetupError: no arena is published, or there is something in the folder.
        MissingPackage: the extra `release` is not installed.
    """
    published = {name for name, config in options.arenas.items() if config.publishes}
    if not published:
        raise SetupError(
            "No arena is meant for a release. Set `publishes: true` for one in its configuration; from then on its "
            "voters are asked, and the texts of those who agree are published."
        )
    if folder.exists() and any(folder.iterdir()):
        raise SetupError(f"{folder} is not empty. Give an empty folder for the release.")
    require_polars()
    finder = Finder(options.ner_model)
    tally = _Tally()
    crowd = _Crowd(options.k)
    with tempfile.TemporaryDirectory(prefix="fastchat-release-") as scratch:
        drafts, lines = Path(scratch) / "drafts.jsonl", Path(scratch) / "votes.jsonl"
        writer = _Writer(connection, options, published, Cleaner(finder), tally)
        with drafts.open("wb") as file:
            write_jsonl(crowd.counted(writer.rows()), file)
        with drafts.open("rb") as source, lines.open("wb") as file:
            rows = map(json.loads, _shuffled(source, random.Random(keyed_hash(options.key, "order", ""))))
            tally.rows = write_jsonl(crowd.hidden(rows, tally.generalised), file)
        folder.mkdir(parents=True, exist_ok=True)
        parquet_from_jsonl(lines, folder / VOTES)
    manifest = _manifest(connection, folder, options, published, finder, tally)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, "utf-8")
    return manifest


def _shuffled(lines: BinaryIO, rng: random.Random) -> Iterator[bytes]:
    """In the log's order each row would lead to its leaf, which has the second of the vote. Holds places, not lines."""
    places = array("Q", [0])
    for line in lines:
        places.append(places[-1] + len(line))
    order = array("Q", range(len(places) - 1))
    rng.shuffle(order)
    for number in order:
        lines.seek(places[number])
        yield lines.readline()


@dataclass(frozen=True, slots=True)
class _Writer:
    connection: Connection
    options: ReleaseOptions
    published: set[str]
    cleaner: Cleaner
    tally: _Tally

    def rows(self) -> Iterator[VoteRow]:
        for vote in voted(self.connection, Range()):
            self.tally.votes += 1
            if vote.leaf.arena not in self.published:
                self.tally.dropped["its arena is not published"] += 1
                continue
            yield self._row(vote)

    def _row(self, vote: VotedConversation) -> VoteRow:
        row = vote_row(vote, TableOptions(self.options.key))
        row = {key: value for key, value in row.items() if key not in _LEFT_OUT}
        row["tstamp"] = float(row["tstamp"] // _DAY_S * _DAY_S)
        if reason := self._reason_against_text(vote, row) or self._clean(row):
            self.tally.without_text[reason] += 1
            row |= dict.fromkeys(_TEXTS)
        return row

    def _reason_against_text(self, vote: VotedConversation, row: VoteRow) -> str | None:
        if row["conv_a"] is None or row["conv_b"] is None or vote.voter_id is None:
            return "it was erased"
        consents = newest_consents(self.connection, [vote.voter_id])
        consent = consents.get((vote.voter_id, vote.leaf.arena))
        if consent is None:
            return "its voter was not asked"
        if not consent.may_publish:
            return "its voter did not agree"
        if consent.version != self.options.arenas[vote.leaf.arena].terms_version:
            return "its voter agreed to an older version of the terms"
        if _FLAGGED & set(row["marks"]):
            return "a moderator flagged it"
        return None

    def _clean(self, row: VoteRow) -> str | None:
        texts = [message["content"] for name in _TEXTS for message in row[name]]
        try:
            cleaned = self.cleaner.clean(texts)
        except Unreadable:
            return "it could not be searched to its end"
        self.tally.found.update(cleaned.found)
        rest = iter(cleaned.texts)
        for name in _TEXTS:
            row[name] = [{**message, "content": next(rest)} for message in row[name]]
        return None


class _Crowd:
    """k-anonymity: what a row says about its voter (day, language, category) is said of at least k voters.

    Where it is not, language and category go first; if the day is still too lonely, it becomes its month.
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self._fine: defaultdict[str, set[str]] = defaultdict(set)
        self._days: defaultdict[str, set[str]] = defaultdict(set)

    def counted(self, rows: Iterator[VoteRow]) -> Iterator[VoteRow]:
        for row in rows:
            for key, voters in ((_fine(row), self._fine), (_day(row), self._days)):
                if row["judge"] is not None and len(voters[key]) < self._k:
                    voters[key].add(row["judge"])
            yield row

    def hidden(self, rows: Iterator[VoteRow], count: Counter[str]) -> Iterator[VoteRow]:
        for row in rows:
            if self._k > 1 and len(self._fine[_fine(row)]) < self._k:
                if len(self._days[_day(row)]) < self._k:
                    row["tstamp"] = _month(row["tstamp"])
                    count["only the month is given"] += 1
                if row["language"] is not None or row["category"] is not None:
                    row |= {"language": None, "category": None}
                    count["language and category are left out"] += 1
            yield row


def _fine(row: VoteRow) -> str:
    return json.dumps([row[name] for name in ("arena", "tstamp", "language", "category")])


def _day(row: VoteRow) -> str:
    return json.dumps([row["arena"], row["tstamp"]])


def _month(at: float) -> float:
    day = datetime.fromtimestamp(at, UTC)
    return day.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()


def _manifest(
    connection: Connection,
    folder: Path,
    options: ReleaseOptions,
    published: set[str],
    finder: Finder,
    tally: _Tally,
) -> dict[str, Any]:
    head = newest_head(connection)
    with_text = tally.rows - sum(tally.without_text.values())
    return {
        "format": FORMAT,
        "date": options.day.isoformat(),
        "code_version": options.code_version,
        "arenas": {
            name: {"title": config.title, "terms_version": config.terms_version}
            for name, config in sorted(options.arenas.items())
            if name in published
        },
        "parameters": {"k": options.k, "ner_model": options.ner_model, "times": "day, UTC"},
        "rows": tally.rows,
        "rows_with_text": with_text,
        "waterfall": _waterfall(tally),
        "generalised": dict(sorted(tally.generalised.items())),
        "personal_data": {
            "replaced": dict(sorted(tally.found.items())),
            "looked_for": [
                {"kind": one.kind, "recognizer": one.name, "source": one.source} for one in finder.recognizers
            ],
            "limits": finder.limits,
        },
        "vote_log": head and head.as_json(),
        "files": [_described(folder / VOTES)],
    }


def _waterfall(tally: _Tally) -> list[dict[str, Any]]:
    """From all votes to those with text; each step says what it cost."""
    steps: list[dict[str, Any]] = [{"what": "votes in the log", "left": tally.votes}]
    left = tally.votes
    for reason, count in sorted(tally.dropped.items()):
        left -= count
        steps.append({"what": "left out", "why": reason, "count": count, "left": left})
    steps.append({"what": "votes in this release", "left": left})
    for reason, count in sorted(tally.without_text.items()):
        left -= count
        steps.append({"what": "without text", "why": reason, "count": count, "left": left})
    steps.append({"what": "votes with text", "left": left})
    return steps


def _described(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"name": file.name, "bytes": os.path.getsize(file), "sha256": digest}
