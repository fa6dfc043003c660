"""The store as FastChat's logs: a folder of daily files, each by time, or a live mirror of them."""

import json
import logging
import os
from array import array
from collections.abc import Iterable
from datetime import tzinfo
from pathlib import Path

from fastchat.arena.exchange import fastchat_lines
from fastchat.arena.exchange.log_files import TEXT, VISION, DailyFiles, file_name
from fastchat.arena.exchange.stored_lines import lines_of
from fastchat.arena.happenings import AnswerWritten, ConversationShared, Happening, ThumbGiven, VoteCast
from fastchat.arena.records import Conversation, Ending
from fastchat.arena.store.reading import Range, Transcript
from fastchat.core.errors import SetupError

log = logging.getLogger(__name__)


def export(transcripts: Iterable[Transcript], folder: Path, wanted: Range, zone: tzinfo | None = None) -> int:
    """How many lines were written. Conversations come one after the other; each file is put in order at the end.
    What could not be finished is removed.

    Raises:
        SetupError: there are logs in the folder already.
    """
    if any(folder.glob("*-conv.json")):
        raise SetupError(f"There are logs in {folder} already. Give an empty folder; lines would stand there twice.")
    files: set[str] = set()
    count = 0
    daily = DailyFiles(folder, zone)
    try:
        for transcript in transcripts:
            for stored in lines_of(transcript):
                if wanted.holds(stored.at):
                    files.add(file_name(stored.log, stored.at, zone))
                    daily.append(stored.log, stored.at, stored.line)
                    count += 1
        for name in files:
            _sort_by_time(folder / name)
    except BaseException:
        for name in files:
            (folder / name).unlink(missing_ok=True)
        raise
    finally:
        daily.close()
    return count


def _sort_by_time(file: Path) -> None:
    """Holds a time and a place for each line of one day, not the lines."""
    times, places = array("d"), array("Q", [0])
    with file.open("rb") as lines:
        for line in lines:
            times.append(float(json.loads(line)["tstamp"]))
            places.append(places[-1] + len(line))
        order = sorted(range(len(times)), key=times.__getitem__)
        if order == list(range(len(times))):
            return
        draft = file.with_name(f".{file.name}.part")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as ordered:
            for index in order:
                lines.seek(places[index])
                ordered.write(lines.read(places[index + 1] - places[index]))
    draft.replace(file)


class ConversationLog:
    """FastChat's logs beside the store, for programs that read them. Called after what happened is on the disk."""

    def __init__(self, folder: Path, zone: tzinfo | None = None) -> None:
        self._files = DailyFiles(folder, zone)

    def append(self, conversation: Conversation, happening: Happening, address_hash: str) -> None:
        kind = VISION if conversation.has_images else TEXT
        line = _line(conversation, happening, address_hash)
        if line is not None:
            self._files.append(kind, line["tstamp"], line)

    def tell(self, conversation: Conversation, happening: Happening, address_hash: str) -> None:
        """As `append`; a disk that is full costs lines of the mirror, not the vote, which the store has."""
        try:
            self.append(conversation, happening, address_hash)
        except OSError as error:
            log.error("conv-log-dir: a line was not written: %s", error)

    def close(self) -> None:
        self._files.close()


def _line(conversation: Conversation, happening: Happening, address: str) -> fastchat_lines.Line | None:
    match happening:
        case AnswerWritten(turn, answer):
            if answer.ending in (Ending.FAILED, Ending.INTERRUPTED):  # FastChat logs no failures
                return None
            return fastchat_lines.line_of_answer(conversation, turn, answer, address)
        case VoteCast(vote):
            return fastchat_lines.line_of_pair(conversation, vote.outcome, vote.cast_at, address)
        case ThumbGiven(answer, thumb, at):
            return fastchat_lines.line_of_thumb(conversation, answer, thumb, at, address)
        case ConversationShared(at):
            if len(conversation.sides) == 1:
                side_state = fastchat_lines.state(
                    conversation, conversation.sides[0], fastchat_lines.said_in(conversation, conversation.sides[0])
                )
                return {
                    "tstamp": round(at, 4),
                    "type": fastchat_lines.SHARE,
                    "model": fastchat_lines.model_of(conversation, conversation.sides[0]),
                    "state": side_state,
                    "ip": address,
                }
            return fastchat_lines.line_of_pair(conversation, fastchat_lines.SHARE, at, address)
