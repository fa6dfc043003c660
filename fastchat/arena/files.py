"""Files that come with a question: checked, brought into a form of ours, and given to models.

Images are drawn anew, so that nothing but pixels stays of them: no place, no camera, no second file hidden behind the
first. Of a PDF the words are read; the model gets them, not the file.
"""

import asyncio
import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from fastchat.arena.pdf_words import words_of_pdf
from fastchat.arena.prompting import printable
from fastchat.arena.records import FilePart, Part, TextPart
from fastchat.arena.store.store import Store
from fastchat.core.errors import InvalidRequest, NotFound, RequestTooLarge

MIB = 2**20
PDF = "application/pdf"
TEXT = "text/plain"
IMAGES: Mapping[str, Literal["PNG", "JPEG", "WEBP"]] = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_READABLE = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # of Pillow's formats those that browsers show
_QUALITY = 90
_READERS = 2  # at once; a great image unfolds into some hundred megabytes

Kind: TypeAlias = Literal["image", "file"]


@dataclass(frozen=True, slots=True)
class FileLimits:
    bytes: int = 10 * MIB
    pixels: int = 50_000_000  # a small file may unfold into a great image
    longest_side: int = 2048
    pages: int = 200
    chars: int = 200_000
    read_s: float = 30.0  # for reading one file
    files_a_question: int = 8


class Content(NamedTuple):
    """A file as it is kept."""

    kind: Kind
    data: bytes
    media_type: str
    text: str | None = None


class Files:
    """The files of voters. A file belongs to whoever sent it and is nobody else's."""

    def __init__(self, store: Store, limits: FileLimits) -> None:
        self._store = store
        self._limits = limits
        self._readers = asyncio.Semaphore(_READERS)

    async def add(
        self, voter_id: str, content: bytes, media_type: str, name: str, *, file_id: str, now: float
    ) -> FilePart:
        """
        Raises:
            RequestTooLarge: too many bytes, pixels, pages or letters.
            InvalidRequest: it is of no kind we take, or not what it says.
        """
        if len(content) > self._limits.bytes:
            raise RequestTooLarge(f"The file is larger than {self._limits.bytes / MIB:g} MB. Send a smaller one.")
        kept = await self._read(content, media_type.partition(";")[0].strip().lower())
        name = printable(name.replace("\\", "/").rpartition("/")[2])[:200]
        await self._store.add_file(file_id, voter_id, kept.data, kept.media_type, name, kept.text, now)
        return FilePart(type=kept.kind, file_id=file_id, media_type=kept.media_type, name=name, text=kept.text)

    async def get(self, voter_id: str, file_id: str) -> tuple[bytes, str]:
        """Content and media type.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        found = await self._store.file(file_id)
        if found is None or found[2] != voter_id:
            raise NotFound("There is no such file. Upload it again.", param="file_id")
        return found[0], found[1]

    async def checked(self, voter_id: str, question: Sequence[Part]) -> tuple[Part, ...]:
        """The parts of a question; of files only what we know ourselves of their kind.

        Raises:
            NotFound: one is not this voter's.
            InvalidRequest: there are too many.
        """
        parts: list[Part] = []
        for part in question:
            if isinstance(part, TextPart):
                parts.append(TextPart(text=printable(part.text)))
                continue
            media_type = (await self.get(voter_id, part.file_id))[1]
            kind: Kind = "image" if media_type in IMAGES else "file"
            text = None if kind == "image" else printable(part.text or "")[: self._limits.chars]
            update = {"type": kind, "media_type": media_type, "text": text, "name": printable(part.name)[:200]}
            parts.append(part.model_copy(update=update))
        if sum(part.type != "text" for part in parts) > self._limits.files_a_question:
            raise InvalidRequest(f"A question takes at most {self._limits.files_a_question} files.", param="question")
        return tuple(parts)

    async def data_urls(self, file_ids: Sequence[str]) -> dict[str, str]:
        """Of images, for the model. One that was erased is left out."""
        urls: dict[str, str] = {}
        for file_id in file_ids:
            if (found := await self._store.file(file_id)) is not None:
                urls[file_id] = f"data:{found[1]};base64,{base64.b64encode(found[0]).decode('ascii')}"
        return urls

    async def _read(self, content: bytes, media_type: str) -> Content:
        try:
            async with asyncio.timeout(self._limits.read_s):
                if media_type.startswith("image/"):
                    async with self._readers:
                        return await asyncio.to_thread(_drawn_anew, content, self._limits)
                if media_type == PDF:
                    async with self._readers:
                        return await self._words_of_pdf(content)
                if media_type.startswith("text/"):
                    return _plain(content, self._limits)
        except TimeoutError:
            raise InvalidRequest(f"The file could not be read within {self._limits.read_s:g} s.") from None
        raise InvalidRequest(
            f"Files of the type {media_type[:80]!r} are not taken. Send a PNG, JPEG, WebP or GIF image, a PDF or text.",
            param="file",
        )

    async def _words_of_pdf(self, content: bytes) -> Content:
        words = await words_of_pdf(content, pages=self._limits.pages, chars=self._limits.chars)
        if not (text := printable(words)):
            raise InvalidRequest(
                "There are no words in this PDF: its pages are pictures. Send the pages as images instead.",
                param="file",
            )
        return Content("file", content, PDF, text)


def _drawn_anew(content: bytes, limits: FileLimits) -> Content:
    from PIL import Image, ImageOps, UnidentifiedImageError

    unreadable = InvalidRequest("This is not an image that can be read. Send a PNG, JPEG, WebP or GIF.", param="file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of images that are large, which is checked here
            image: Image.Image = Image.open(io.BytesIO(content), formats=_READABLE)
            if image.width * image.height > limits.pixels:
                raise RequestTooLarge(
                    f"The image has {image.width:,} x {image.height:,} pixels, more than the "
                    f"{limits.pixels // 1_000_000} million that are taken. Send a smaller one."
                )
            source = image.format
            image.thumbnail((limits.longest_side, limits.longest_side))  # JPEGs are not even unfolded whole
            image = ImageOps.exif_transpose(image)
            has_alpha = image.has_transparency_data
            image = image.convert("RGBA" if has_alpha else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise unreadable from None
    target = {"JPEG": "image/jpeg", "WEBP": "image/webp"}.get(source or "", "image/png")
    pixels = Image.new(image.mode, image.size)
    pixels.paste(image)
    file = io.BytesIO()
    pixels.save(file, IMAGES[target], quality=_QUALITY)
    return Content("image", file.getvalue(), target)


def _plain(content: bytes, limits: FileLimits) -> Content:
    try:
        text = printable(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidRequest("This file is not text in UTF-8.", param="file") from None
    if len(text) > limits.chars:
        raise RequestTooLarge(f"The file has more than {limits.chars:,} letters. Send a part of it.")
    return Content("file", text.encode(), TEXT, text)
