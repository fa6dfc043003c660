"""Notes in a file when each flush left the server, by the newest token in it; its reader is `benchmarks.arena_ui`.

python -m benchmarks.flush_marks FILE web --arena …      `fastchat web`, with its flushes noted
"""

import re
import sys
import time
from collections.abc import AsyncGenerator, Iterable
from typing import Any, TextIO

from benchmarks.pinning import SERVER, pin

STAMP = re.compile(r"t(\d+\.\d{9})")  # a token of `benchmarks.paced_api`
_TAIL = 40  # characters that hold the last token


class Marks:
    """One line a flush: where it was made, the newest token in it, and when."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def note(self, where: str, texts: Iterable[str]) -> None:
        now = time.monotonic()
        stamps = [found[-1] for text in texts if (found := STAMP.findall(text[-_TAIL:]))]
        if stamps:
            self._file.write(f"{where} {max(stamps, key=float)} {now:.6f}\n")


def _watch_the_arena(marks: Marks) -> None:
    from fastchat.arena.live import LiveConversation
    from fastchat.arena.views import DeltaEvent, Event

    publish = LiveConversation._publish

    def noted(self: LiveConversation, event: Event) -> None:
        if isinstance(event, DeltaEvent):
            marks.note("api", event.text.values())
        publish(self, event)

    LiveConversation._publish = noted  # type: ignore[method-assign]  # seen from outside, at the price of 2 µs


def _watch_the_page(marks: Marks) -> None:
    from fastchat.web import following

    follow = following.follow

    async def noted(*args: Any) -> AsyncGenerator[Any, None]:  # Any: passed on as it is
        async for view in follow(*args):
            if view is not None:
                marks.note("page", (answer.text for answer in view.turns[-1].answers))
            yield view

    # Before `fastchat.web.chat` takes it from there.
    following.follow = noted  # type: ignore[assignment]


def main() -> None:
    pin(SERVER)
    with open(sys.argv[1], "w") as file:
        marks = Marks(file)
        _watch_the_arena(marks)
        _watch_the_page(marks)
        from fastchat.__main__ import main as fastchat

        sys.argv = ["fastchat", *sys.argv[2:]]
        fastchat()


if __name__ == "__main__":
    main()
