"""Uploads: what is taken, what stays of it, what a model gets."""

import asyncio
import base64
import io
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, StreamObject

from fastchat.arena.config import ArenaConfig, Matchmaking
from fastchat.arena.files import FileLimits
from fastchat.arena.records import FilePart, Mode, Outcome, TextPart
from fastchat.arena.service import FILES_AN_HOUR
from fastchat.core.errors import FastChatError, InvalidRequest, NotFound, NotNow, RateLimited, RequestTooLarge
from fastchat.protocol.control import ServedModel
from tests.arena.service.stage import ADA, BOB, LEFT_NAME, RIGHT_NAME, Stage, stage, words


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 20), mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, 200).save(file, kind, **options)
    return file.getvalue()


def pdf(*pages: str, password: str = "") -> bytes:
    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(200, 200)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = StreamObject()
        content.set_data(f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


async def upload(set_up: Stage, content: bytes, media_type: str = "image/png", name: str = "x") -> FilePart:
    part = await set_up.arena.upload(ADA, content, media_type, name)
    assert isinstance(part, FilePart)
    return part


@pytest.mark.parametrize(
    ("kind", "mode", "kept"),
    [
        ("PNG", "RGB", "image/png"),
        ("PNG", "RGBA", "image/png"),
        ("JPEG", "RGB", "image/jpeg"),
        ("WEBP", "RGB", "image/webp"),
        ("GIF", "P", "image/png"),
        ("BMP", "RGB", "image/png"),
    ],
)
async def test_images_are_drawn_anew(set_up: Stage, kind: str, mode: str, kept: str) -> None:
    part = await upload(set_up, picture(kind, mode=mode))
    content, media_type = await set_up.arena.file(ADA, part.file_id)
    assert (part.type, part.media_type, media_type) == ("image", kept, kept)
    image = Image.open(io.BytesIO(content))
    assert (image.size, Image.MIME[image.format or ""]) == ((40, 20), kept)


async def test_nothing_but_pixels_stays_and_they_stand_upright(set_up: Stage) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010E] = "taken at home"
    content = picture("JPEG", exif=exif, comment=b"secret") + b"PK a hidden archive"
    part = await upload(set_up, content, "image/jpeg")
    kept, _ = await set_up.arena.file(ADA, part.file_id)
    assert Image.open(io.BytesIO(kept)).size == (20, 40)
    for hidden in (b"taken at home", b"secret", b"hidden archive", b"Exif"):
        assert hidden not in kept


async def test_large_images_are_made_smaller(set_up: Stage) -> None:
    part = await upload(set_up, picture(size=(4096, 100)))
    content, _ = await set_up.arena.file(ADA, part.file_id)
    assert Image.open(io.BytesIO(content)).size == (2048, 50)


async def test_a_pdf_becomes_its_words(set_up: Stage) -> None:
    part = await upload(set_up, pdf("One page", "Another page"), "application/pdf", "C:\\tmp\\lease.pdf")
    assert (part.type, part.name, part.text) == ("file", "lease.pdf", "One page\n\nAnother page")
    battle = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    await set_up.arena.ask(ADA, battle.conversation_id, [TextPart(text="Sum up:"), part])
    await set_up.until_answered(battle.conversation_id)
    (request,) = set_up.models[LEFT_NAME].requests
    assert request["messages"][-1]["content"] == "Sum up:\n\nOne page\n\nAnother page"


async def test_text_is_taken_as_it_is(set_up: Stage) -> None:
    assert (await upload(set_up, "größer".encode(), "text/plain; charset=utf-8")).text == "größer"


LIMITS = FileLimits(bytes=100_000, pixels=10_000, pages=2, chars=30, files_a_question=2)


@pytest.mark.parametrize(
    ("content", "media_type", "error", "words"),
    [
        (lambda: b"x" * 100_001, "image/png", RequestTooLarge, "larger than"),
        (lambda: b"GIF89a no image", "image/gif", InvalidRequest, "not an image"),
        (lambda: picture()[:60], "image/png", InvalidRequest, "not an image"),
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", InvalidRequest, "not an image"),
        (lambda: picture(size=(200, 51)), "image/png", RequestTooLarge, "200 x 51 pixels"),
        (lambda: pdf("a", password="pw"), "application/pdf", InvalidRequest, "password"),
        (lambda: pdf(""), "application/pdf", InvalidRequest, "no words"),
        (lambda: pdf("a", "b", "c"), "application/pdf", RequestTooLarge, "3 pages"),
        (lambda: pdf("a" * 31), "application/pdf", RequestTooLarge, "30 letters"),
        (lambda: b"%PDF-1.4 broken", "application/pdf", InvalidRequest, "cannot be read"),
        (lambda: b"\xff\xfe", "text/plain", InvalidRequest, "UTF-8"),
        (lambda: b"x" * 31, "text/plain", RequestTooLarge, "30 letters"),
        (lambda: b"MZ", "application/x-msdownload", InvalidRequest, "not taken"),
    ],
)
async def test_what_is_refused_says_why(
    tmp_path: Path,
    empty_store: Path,
    content: Callable[[], bytes],
    media_type: str,
    error: type[FastChatError],
    words: str,
) -> None:
    async with stage(tmp_path, empty_store) as set_up:
        set_up.options["limits"] = LIMITS
        await set_up.restart()
        with pytest.raises(error, match=words):
            await set_up.arena.upload(ADA, content(), media_type, "x")


async def test_a_file_is_its_senders_alone(set_up: Stage) -> None:
    part = await upload(set_up, picture())
    with pytest.raises(NotFound):
        await set_up.arena.file(BOB, part.file_id)
    draft = await set_up.arena.start(BOB, "default", Mode.BATTLE)
    with pytest.raises(NotFound):
        await set_up.arena.ask(BOB, draft.conversation_id, [part])


async def test_files_are_limited_by_voter(set_up: Stage) -> None:
    for _ in range(FILES_AN_HOUR):
        with pytest.raises(InvalidRequest):
            await upload(set_up, b"MZ", "application/x-msdownload")
    with pytest.raises(RateLimited, match="Too many files"):
        await upload(set_up, picture())


async def test_a_question_takes_so_many_files(set_up: Stage) -> None:
    part = await upload(set_up, b"words", "text/plain")
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    with pytest.raises(InvalidRequest, match="at most 8 files"):
        await set_up.arena.ask(ADA, draft.conversation_id, [part] * 9)


async def test_images_are_for_models_that_see_and_travel_as_data(tmp_path: Path, empty_store: Path) -> None:
    sighted = [ServedModel(name=name, features=("chat", "vision")) for name in (LEFT_NAME, RIGHT_NAME)]
    async with stage(tmp_path, empty_store, models=[*sighted, ServedModel(name="blind-1")]) as set_up:
        part = await upload(set_up, picture())
        for _ in range(5):
            draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
            # What the caller says of its kind is not believed.
            claimed = part.model_copy(update={"type": "file", "media_type": "text/html", "text": "words"})
            await set_up.arena.ask(ADA, draft.conversation_id, [TextPart(text="What is it?"), claimed])
            await set_up.until_answered(draft.conversation_id)
        assert set_up.models["blind-1"].requests == []
        content, _ = await set_up.arena.file(ADA, part.file_id)
        url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        assert set_up.models[LEFT_NAME].requests[0]["messages"][-1]["content"] == [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": url}},
        ]


SIGHTED = [ServedModel(name=name, features=("chat", "vision")) for name in (LEFT_NAME, RIGHT_NAME)]


async def test_an_image_in_mid_battle_does_not_tell_whether_these_two_can_see(
    tmp_path: Path, empty_store: Path
) -> None:
    # A third one, who is never drawn, takes no images: so the two that are drawn must not seem to take some.
    arenas = {"default": ArenaConfig(matchmaking=Matchmaking(weights={"blind-1": 0}))}
    async with stage(tmp_path, empty_store, models=[*SIGHTED, ServedModel(name="blind-1")], arenas=arenas) as set_up:
        part = await upload(set_up, picture())
        battle = await set_up.battle()
        with pytest.raises(NotNow, match="in the first question of a battle"):
            await set_up.arena.ask(ADA, battle.conversation_id, [part])
        with pytest.raises(NotNow, match="in the first question of a battle"):
            await set_up.arena.edit(ADA, battle.conversation_id, 0, [part])
        await set_up.arena.vote(ADA, battle.conversation_id, battle.vote_token or "", Outcome.TIE)
        await set_up.arena.ask(ADA, battle.conversation_id, [part])  # the names are known


async def test_a_battle_that_was_drawn_for_an_image_takes_more(tmp_path: Path, empty_store: Path) -> None:
    async with stage(tmp_path, empty_store, models=[*SIGHTED, ServedModel(name="blind-1")]) as set_up:
        part = await upload(set_up, picture())
        draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
        await set_up.arena.ask(ADA, draft.conversation_id, [part])
        await set_up.until_answered(draft.conversation_id)
        await set_up.arena.edit(ADA, draft.conversation_id, 0, [*words("This"), part])
        await set_up.until_answered(draft.conversation_id)
        await set_up.arena.ask(ADA, draft.conversation_id, [*words("And this"), part])


async def test_where_all_can_see_an_image_may_come_late(tmp_path: Path, empty_store: Path) -> None:
    async with stage(tmp_path, empty_store, models=SIGHTED) as set_up:
        part = await upload(set_up, picture())
        battle = await set_up.battle()
        await set_up.arena.ask(ADA, battle.conversation_id, [part])


async def test_a_chat_says_which_model_takes_no_images(set_up: Stage) -> None:
    part = await upload(set_up, picture())
    direct = await set_up.arena.start(ADA, "default", Mode.DIRECT, models=[LEFT_NAME])
    with pytest.raises(NotNow, match=LEFT_NAME):
        await set_up.arena.ask(ADA, direct.conversation_id, [part])


async def test_a_pdf_that_keeps_its_reader_busy_is_given_up_and_its_reader_ends(
    set_up: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[asyncio.subprocess.Process] = []
    begin = asyncio.create_subprocess_exec

    async def noted(*command: str, **options: Any) -> asyncio.subprocess.Process:
        readers.append(await begin(*command, **options))
        return readers[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    set_up.options["limits"] = FileLimits(read_s=0.5)
    await set_up.restart()
    with pytest.raises(InvalidRequest, match=r"within 0\.5 s"):
        await upload(set_up, pdf("a) Tj ( " * 500_000), "application/pdf")
    assert [reader.returncode for reader in readers] == [-signal.SIGKILL]


async def test_a_file_on_a_shared_page_is_seen_with_the_link_only(tmp_path: Path, empty_store: Path) -> None:
    sighted = ServedModel(name=LEFT_NAME, features=("chat", "vision"))
    async with stage(tmp_path, empty_store, models=[sighted]) as set_up:
        part, other = await upload(set_up, picture()), await upload(set_up, picture())
        chat = await set_up.arena.start(ADA, "default", Mode.DIRECT, models=[LEFT_NAME])
        await set_up.arena.ask(ADA, chat.conversation_id, [part])
        await set_up.until_answered(chat.conversation_id)
        share_id = (await set_up.arena.share(ADA, chat.conversation_id)).rpartition("/")[2]
        assert (await set_up.arena.shared_file(share_id, part.file_id, BOB))[1] == "image/png"
        for link, file_id in ((share_id, other.file_id), ("no-link", part.file_id)):
            with pytest.raises(NotFound):
                await set_up.arena.shared_file(link, file_id, BOB)


async def test_the_arenas_own_questions_may_have_an_image(tmp_path: Path, empty_store: Path) -> None:
    (tmp_path / "cat.png").write_bytes(picture())
    (tmp_path / "q.json").write_text('[{"question": "What is it?", "path": "cat.png"}]')
    async with stage(tmp_path, empty_store, arenas={"default": ArenaConfig(questions=tmp_path / "q.json")}) as set_up:
        text, image = await set_up.arena.random_question(ADA, "default")
        assert text == TextPart(text="What is it?")
        assert isinstance(image, FilePart)
        assert (await set_up.arena.file(ADA, image.file_id))[1] == "image/png"


async def test_a_file_that_is_not_there_has_to_be_sent_again(set_up: Stage) -> None:
    part = FilePart(type="image", file_id="gone", media_type="image/png")
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    with pytest.raises(NotFound, match="Upload it again"):
        await set_up.arena.ask(ADA, draft.conversation_id, [*words("Look"), part])
