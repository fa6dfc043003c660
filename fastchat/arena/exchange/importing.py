"""FastChat's logs into the store. What is there already is left alone, so importing again adds nothing.

Votes go into the transparency log like any other, at the time of the import: when they were clicked is FastChat's
word, and a vote that appears late with an early time is what an auditor looks for. That time is kept beside the log.
"""

import asyncio
import re
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from fastchat.arena.exchange import log_files
from fastchat.arena.exchange.assembling import (
    Assembled,
    LogLine,
    Pair,
    assemble,
    battle_id,
    conversation_id,
    named_id,
)
from fastchat.arena.exchange.fastchat_lines import conversation_ids
from fastchat.arena.exchange.line_index import LineIndex, Place, load
from fastchat.arena.exchange.log_files import Malformed, RawLine
from fastchat.arena.exchange.stored_lines import KEY, is_imported, lines_of
from fastchat.arena.records import Outcome, Side
from fastchat.arena.store.reading import Transcript, transcripts_of
from fastchat.arena.store.replacing import conversations_of_battles, put, put_file, remove
from fastchat.arena.store.store import Ballot, Store
from fastchat.arena.transparency.leaves import SALT_BYTES, conversation_hash
from fastchat.core.errors import SetupError

_AT_ONCE = 64
_HASH = re.compile(r"[0-9a-f]{32}")  # an address as our own exports have it
IMAGES = "serve_images"


class Count(StrEnum):
    LINES = "lines read"
    MALFORMED = "lines that are no lines of FastChat's"
    TWICE = "lines that were there twice"
    KNOWN = "lines that were in the store already"
    ADDED = "lines added"
    CONVERSATIONS = "conversations added or continued"
    VOTES = "votes cast"
    NAMELESS = "votes on models without a name: kept, not counted"
    FURTHER_VOTES = "further votes on a battle that has one: kept, not counted"
    OURS = "conversations of this arena itself: left alone"
    ERASED = "conversations that were erased here: left out"
    CONFLICTS = "conversations whose other side is another in the store: left out"


class Keys(NamedTuple):
    """How people are called in the store."""

    address_hash: Callable[[str], str]
    voter_key: Callable[[str], str]  # from an address's hash


@dataclass(slots=True)
class _Found:
    """Lines of the files about one conversation, and what the store has of it."""

    pair: Pair
    lines: list[LogLine]
    known: list[Transcript] = field(default_factory=list)

    @property
    def voted(self) -> Transcript | None:
        return next((transcript for transcript in self.known if transcript.vote), None)


@dataclass(slots=True)
class Importer:
    store: Store
    keys: Keys
    arena: str
    clock: Callable[[], float]  # UTC
    on_malformed: Callable[[RawLine, str], None]
    counts: Counter[Count] = field(default_factory=Counter)

    async def run(self, files: Sequence[Path]) -> Counter[Count]:
        with tempfile.TemporaryDirectory(prefix="fastchat-import-") as folder, LineIndex(Path(folder)) as index:
            for file in files:
                await asyncio.to_thread(self._scan, index, file)
            conversations = index.conversations()
            while batch := await asyncio.to_thread(lambda: list(islice(conversations, _AT_ONCE))):
                await self._take(batch)
        return self.counts

    def _scan(self, index: LineIndex, file: Path) -> None:
        for raw in log_files.read(file):
            self.counts[Count.LINES] += 1
            try:
                if not index.add(raw):
                    self.counts[Count.TWICE] += 1
            except Malformed as reason:
                self.counts[Count.MALFORMED] += 1
                self.on_malformed(raw, str(reason))

    async def _take(self, batch: Sequence[tuple[Pair, list[Place]]]) -> None:
        found = await asyncio.to_thread(lambda: [_Found(pair, self._load(places)) for pair, places in batch])
        await self.store.read(lambda connection: _look_up(connection, found))
        wanted = [one for one in _merged(found) if self._is_wanted(one)]
        addresses = {address for one in wanted if (address := _address(one.lines))}
        names = await asyncio.gather(
            *(self.store.voter_id(self.keys.voter_key(address), None) for address in addresses)
        )
        voters = dict(zip(addresses, names, strict=True))
        done = [(one, self._assemble(one, voters)) for one in wanted]
        folders = {place.file.parent for _, places in batch for place in places}
        await self.store.write(lambda connection: _put(connection, done, folders))
        try:
            async with asyncio.TaskGroup() as group:
                for one, assembled in done:
                    if assembled.ballot_line is not None and one.voted is None:
                        group.create_task(self._cast(assembled))
        except ExceptionGroup as failures:  # votes that were to be cast together failed together
            raise failures.exceptions[0] from None

    def _load(self, places: Iterable[Place]) -> list[LogLine]:
        return [self._hide_address(load(place)) for place in places]

    def _hide_address(self, line: LogLine) -> LogLine:
        address = line.line.get("ip")
        if not isinstance(address, str) or not address or _HASH.fullmatch(address):
            return line
        return line._replace(line={**line.line, "ip": self.keys.address_hash(address)})

    def _is_wanted(self, found: _Found) -> bool:
        """Adds what is known to the lines; whatever is new needs all of them again."""
        if reason := _reason_against(found):
            self.counts[reason] += 1
            return False
        for transcript in found.known:
            if transcript.details[KEY]["sides"].keys() == {"left", "right"}:
                found.pair = Pair(*_sides(transcript))
        known = [LogLine(stored.line, stored.log) for one in found.known for stored in lines_of(one)]
        digests = {line.digest for line in known}
        new = [line for line in found.lines if line.digest not in digests]
        self.counts[Count.KNOWN] += len(found.lines) - len(new)
        self.counts[Count.ADDED] += len(new)
        found.lines = sorted([*known, *new], key=lambda line: line.at)
        return bool(new) or _was_interrupted(found)

    def _assemble(self, found: _Found, voters: dict[str, str]) -> Assembled:
        address = _address(found.lines)
        first = found.known[0] if found.known else None
        assembled = assemble(
            found.lines,
            found.pair,
            arena=first.arena if first else self.arena,
            voter_id=first.voter_id if first else voters.get(address or ""),
            address=address,
            mode=found.voted.mode if found.voted else None,
        )
        self.counts[Count.CONVERSATIONS] += 1
        self.counts[Count.FURTHER_VOTES] += assembled.further_votes
        return assembled

    async def _cast(self, assembled: Assembled) -> None:
        transcript, line = assembled.transcript, assembled.ballot_line
        battle = transcript.battle
        assert battle is not None
        assert line is not None
        if not (battle.model_a and battle.model_b):
            self.counts[Count.NAMELESS] += 1
            return
        said = [
            {"turn": message.turn, "side": message.side, "text": message.text}
            for message in transcript.messages
            if message.created_at <= line.at
        ]
        ballot = Ballot(
            vote_id=named_id(battle.battle_id, "vote"),
            battle_id=battle.battle_id,
            conversation_id=transcript.conversation_id,
            arena=transcript.arena,
            mode=transcript.mode,
            outcome=Outcome(line.kind),
            model_a=battle.model_a,
            model_b=battle.model_b,
            probability=battle.probability,
            cast_at=self.clock(),
            voter_id=transcript.voter_id or "",
            address_hash=transcript.address_hash or "",
            content_digest=conversation_hash(said),
            salt=secrets.token_bytes(SALT_BYTES),
            marks=transcript.marks,
        )
        await self.store.cast(ballot)
        self.counts[Count.VOTES] += 1


def refuse(raw: RawLine, reason: str) -> None:
    """For those who want every line or none; lines before it are only read, not stored."""
    raise SetupError(f"{raw.place} {reason}. Nothing was imported. Mend the line, or leave --strict out to skip it.")


def _address(lines: Sequence[LogLine]) -> str | None:
    return next((line.line["ip"] for line in lines if isinstance(line.line.get("ip"), str) and line.line["ip"]), None)


def _look_up(connection: Connection, batch: Sequence[_Found]) -> None:
    conv_ids = [conv_id for found in batch for conv_id in found.pair if conv_id is not None]
    by_battle = conversations_of_battles(connection, [battle_id(conv_id) for conv_id in conv_ids])
    places = {conv_id: _places(conv_id, by_battle) for conv_id in conv_ids}
    wanted = sorted(set().union(*places.values()))
    known = {transcript.conversation_id: transcript for transcript in transcripts_of(connection, wanted)}
    for found in batch:
        own = {conv_id for conv_id in found.pair if conv_id is not None}
        candidates = {place for conv_id in own for place in places[conv_id]}
        found.known = [
            known[place]
            for place in sorted(candidates & known.keys())
            if not is_imported(known[place]) or own & set(_sides(known[place]))
        ]


def _merged(batch: Iterable[_Found]) -> list[_Found]:
    """Two sides that nothing in the files pairs may be paired in the store."""
    merged: list[_Found] = []
    of_known: dict[str, _Found] = {}
    for found in batch:
        earlier = next((of_known[one.conversation_id] for one in found.known if one.conversation_id in of_known), None)
        if earlier is not None:
            earlier.lines += found.lines
            continue
        merged.append(found)
        of_known |= {one.conversation_id: found for one in found.known}
    return merged


def _places(conv_id: str, by_battle: Mapping[str, str]) -> set[str]:
    """Conversations it may be a side of. A right side of our own is its left side's name with one bit flipped."""
    places = set(conversation_ids(conversation_id(conv_id)))
    battle = by_battle.get(battle_id(conv_id))
    return places | {battle} if battle else places


def _sides(transcript: Transcript) -> Iterator[str]:
    sides = transcript.details[KEY]["sides"]
    return (sides[side]["conv_id"] for side in Side if side in sides)


def _reason_against(found: _Found) -> Count | None:
    if any(transcript.erased_at is not None for transcript in found.known):
        return Count.ERASED
    if any(not is_imported(transcript) for transcript in found.known):
        return Count.OURS
    paired = [set(sides) for transcript in found.known if len(sides := list(_sides(transcript))) > 1]
    own = {conv_id for conv_id in found.pair if conv_id is not None}
    return Count.CONFLICTS if any(not own <= sides for sides in paired) else None


def _was_interrupted(found: _Found) -> bool:
    """The lines were stored, and the vote was not cast any more."""
    battles = [transcript.battle for transcript in found.known if transcript.battle and not transcript.vote]
    has_names = any(battle.model_a and battle.model_b for battle in battles)
    return has_names and any(line.kind in list(Outcome) for line in found.lines)


def _put(connection: Connection, batch: Iterable[tuple[_Found, Assembled]], folders: Iterable[Path]) -> None:
    for found, assembled in batch:
        transcript = assembled.transcript
        for other in found.known:
            if other.conversation_id != transcript.conversation_id:
                remove(connection, other.conversation_id)
        put(connection, transcript)
        for message in transcript.messages:
            for part in message.parts:
                if part.type == "image":
                    _put_image(connection, part.file_id, transcript, folders)


def _put_image(connection: Connection, name: str, transcript: Transcript, folders: Iterable[Path]) -> None:
    for folder in folders:
        file = folder / IMAGES / f"{name}.png"
        if file.is_file() and transcript.voter_id is not None:
            content = file.read_bytes()
            put_file(connection, name, transcript.voter_id, content, "image/png", file.name, transcript.created_at)
            return
