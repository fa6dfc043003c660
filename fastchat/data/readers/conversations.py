"""Files of conversations, whatever format they are in."""

from collections.abc import Iterator
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.data.readers.files import Unreadable, read_records
from fastchat.data.readers.formats import FORMATS, Format
from fastchat.data.readers.messages import Misshapen
from fastchat.data.records import Conversation


def read_conversations(
    file: Path, format: str | None = None, unreadable: Unreadable | None = None
) -> Iterator[Conversation]:
    """Those of a file, one after the other; it is never in memory as a whole. Without `format`, its first record tells.

    A record that its format does not allow, or a line that is no JSON, is an error; with `unreadable` it is told
    there and left out.

    Raises:
        SetupError: the file cannot be read, or nobody knows its format.
    """
    before = _ignored if unreadable else None  # each is told once, when all are read
    chosen = _named(format) if format else _recognised(file, before)
    selected = chosen.select(read_records(file, before)) if chosen.select else None
    for record in read_records(file, unreadable):
        if selected is not None and record.number not in selected:
            continue
        try:
            found = list(chosen.convert(record))
        except Misshapen as error:
            if unreadable is None:
                raise SetupError(f"{record.place}: {error}.") from None
            unreadable(record.place, str(error))
        else:
            yield from found


def _ignored(place: str, why: str) -> None:
    pass


def _named(format: str) -> Format:
    if format not in FORMATS:
        raise SetupError(f"There is no format {format!r} of conversations. Known: {', '.join(FORMATS)}.")
    return FORMATS[format]


def _recognised(file: Path, unreadable: Unreadable | None) -> Format:
    first = next(read_records(file, unreadable), None)
    if first is None:
        return FORMATS["sharegpt"]  # an empty list, in any format
    for format in FORMATS.values():
        if format.fits(first.fields):
            return format
    raise SetupError(
        f"{file}: its first record is of no known format; it has the fields {', '.join(first.fields) or 'none'}. "
        f"Name it with --format: {', '.join(FORMATS)}."
    )
