"""What stood in the box when it was sent, as the arena takes it."""

import asyncio
import contextlib
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from fastchat.access.people import Visitor
from fastchat.arena.records import Part, TextPart
from fastchat.arena.service import Arena


class Draft(TypedDict):
    """The value of `gr.MultimodalTextbox`."""

    text: str
    files: Sequence[str]  # paths of what Gradio has taken in


EMPTY: Draft = {"text": "", "files": []}


def is_blank(draft: Draft) -> bool:
    return not draft["text"].strip() and not draft["files"]


async def parts_of(arena: Arena, who: Visitor, draft: Draft) -> list[Part]:
    """Files first.

    Raises:
        RequestError: the arena does not take one of the files.
    """
    parts = [await _stored(arena, who, Path(path)) for path in draft["files"]]
    return [*parts, TextPart(text=draft["text"].strip())] if draft["text"].strip() else parts


async def _stored(arena: Arena, who: Visitor, path: Path) -> Part:
    content = await asyncio.to_thread(path.read_bytes)
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return await arena.upload(who, content, media_type, path.name)


def forget_files(draft: Draft) -> None:
    """What Gradio wrote to the disk for a question that has been asked."""
    for path in map(Path, draft["files"]):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()  # Gradio makes one a file
