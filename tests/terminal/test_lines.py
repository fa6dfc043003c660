import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastchat.terminal.interrupts import Interrupted, on_interrupt
from fastchat.terminal.lines import InputStream


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """Where to read and where to write."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    try:
        os.close(writing)
    except OSError:
        pass  # the test has closed it


async def test_lines_come_one_by_one_however_they_are_written(ends: tuple[int, int]) -> None:
    source = InputStream(ends[0])
    os.write(ends[1], b"one\r\ntw\xc3")
    assert await source.line() == "one"
    waiting = asyncio.create_task(source.line())
    await asyncio.sleep(0)
    os.write(ends[1], b"\xb6\n\nlast")
    os.close(ends[1])
    assert [await waiting, await source.line(), await source.line(), await source.line()] == ["twö", "", "last", None]


async def test_a_message_ends_where_its_sentinel_is_and_nowhere_else(ends: tuple[int, int]) -> None:
    source = InputStream(ends[0])
    os.write(ends[1], b"a\nb END\nrest without")
    os.close(ends[1])
    assert await source.until(" END\n") == "a\nb"
    assert await source.until(" END\n") is None


async def test_a_plain_file_can_be_read_too(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("one\ntwo")
    with (tmp_path / "input").open() as file:
        source = InputStream(file.fileno())
        assert [await source.line(), await source.everything(), await source.line()] == ["one", "two", None]


async def test_reading_leaves_the_descriptor_as_it_was(ends: tuple[int, int]) -> None:
    os.write(ends[1], b"x\n")
    await InputStream(ends[0]).line()
    assert os.get_blocking(ends[0])


async def test_an_interrupt_ends_the_waiting_and_drops_what_was_typed(ends: tuple[int, int]) -> None:
    source = InputStream(ends[0])
    os.write(ends[1], b"half")
    waiting = asyncio.create_task(source.line())
    for _ in range(5):
        await asyncio.sleep(0)  # it has read the half line and waits again
    source.interrupt()
    with pytest.raises(Interrupted):
        await waiting
    os.write(ends[1], b"whole\n")
    assert await source.line() == "whole"


async def test_an_interrupt_before_the_waiting_is_not_lost(ends: tuple[int, int]) -> None:
    source = InputStream(ends[0])
    source.interrupt()
    with pytest.raises(Interrupted):
        await source.line()


async def test_ctrl_c_is_handled_within_the_block_and_as_before_after_it() -> None:
    before = signal.getsignal(signal.SIGINT)
    pressed = asyncio.Event()
    with on_interrupt(pressed.set):
        os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.timeout(5):
            await pressed.wait()
    assert signal.getsignal(signal.SIGINT) is before
