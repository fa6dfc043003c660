"""Order, memories and reports of the stream."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.cleaning.duplicates import Duplicates, NearDuplicates, SameId
from fastchat.data.cleaning.report import Report, page, write_report
from fastchat.data.cleaning.rules import Dropped
from fastchat.data.cleaning.stream import clean
from fastchat.data.cleaning.tally import Reason, Tally
from fastchat.data.packages import package
from fastchat.data.records import Conversation
from tests.fastchat_data.talks import talk


@dataclass(frozen=True)
class DropsOdd:
    name: str = "odd"

    def apply(self, conversation: Conversation) -> Dropped | None:
        return Dropped("odd", conversation.id) if int(conversation.id) % 2 else None


@dataclass(frozen=True)
class Dies:
    name: str = "dies"

    def apply(self, conversation: Conversation) -> None:
        import os

        os._exit(9)


@dataclass(frozen=True)
class LacksItsLibrary:
    name: str = "lacking"

    def apply(self, conversation: Conversation) -> None:
        package("no_such_library", "This rule")


def test_batches_come_back_in_their_order_from_many_processes() -> None:
    tally = Tally()
    talks = [talk(f"Question {n}?", "x" * (20_000 if n % 7 == 0 else 10), id=str(n)) for n in range(400)]
    found = [one.id for batch in clean(talks, [DropsOdd()], [], tally=tally, workers=2) for one in batch]
    assert found == [str(n) for n in range(0, 400, 2)]
    assert (tally.read, tally.written, tally.dropped("odd")) == (400, 200, 200)
    assert tally.chars_read == sum(len(m["content"]) for one in talks for m in one.messages)


def test_a_worker_that_dies_is_said() -> None:
    with pytest.raises(SetupError, match="A worker process died"):
        list(clean([talk("Hi", "Hello")], [Dies()], [], tally=Tally(), workers=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_library_that_is_not_installed_is_named(workers: int) -> None:
    with pytest.raises(SetupError, match=r'This rule needs the package .no_such_library.* "fschat\[data\]"'):
        list(clean([talk("Hi", "Hello")], [LacksItsLibrary()], [], tally=Tally(), workers=workers))


def test_only_a_few_batches_are_read_ahead() -> None:
    read = 0

    def endless() -> Iterator[Conversation]:
        nonlocal read
        while True:
            read += 1
            yield talk(f"Question {read}?", "y" * 1000, id="0")

    stream = clean(endless(), [DropsOdd()], [], tally=Tally(), workers=2)
    assert next(iter(stream))
    del stream
    assert read < 4000


def test_memories_keep_the_first() -> None:
    talks = [
        talk("Hi", "Hello", id="a"),
        talk("HI ", "hello", id="b"),
        talk("Hi", "Bye", id="a"),
        talk("Hi", "Hello!", id="c"),
    ]
    tally = Tally()
    left = [one.id for batch in clean(talks, [], [SameId(), Duplicates()], tally=tally) for one in batch]
    assert left == ["a", "c"]
    assert tally.counts == {
        Reason("duplicates", "dropped", "says the same"): 1,
        Reason("ids", "dropped", "the same id"): 1,
    }


def test_duplicates_may_go_by_the_first_round() -> None:
    talks = [talk("Hi", "Hello", "And?", "Yes", id="a"), talk("Hi", "Hello", id="b")]
    left = [one.id for batch in clean(talks, [], [Duplicates(first_messages=2)], tally=Tally()) for one in batch]
    assert left == ["a"]


def test_the_same_question_on_two_images_is_no_duplicate() -> None:
    def asked(url: str) -> Conversation:
        parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        return Conversation(url, [{"role": "user", "content": parts}, {"role": "assistant", "content": "A cat."}])

    talks = [asked("data:,a"), asked("data:,b"), asked("data:,a")]
    assert [one.id for batch in clean(talks, [], [Duplicates()], tally=Tally()) for one in batch] == [
        "data:,a",
        "data:,b",
    ]


@pytest.mark.parametrize(("changed", "left"), [(1, ["a"]), (40, ["a", "b"])])
def test_near_duplicates_go_by_how_much_they_share(changed: int, left: list[str]) -> None:
    words = [f"word{n}" for n in range(120)]
    other = [f"other{n}" if n % (120 // changed) == 0 else word for n, word in enumerate(words)]
    talks = [talk("Tell me.", " ".join(words), id="a"), talk("Tell me.", " ".join(other), id="b")]
    assert [one.id for batch in clean(talks, [], [NearDuplicates()], tally=Tally()) for one in batch] == left


def test_near_duplicates_are_found_where_words_are_not_separated() -> None:
    text = "".join(chr(0x4E00 + n * 7 % 2000) for n in range(300))
    talks = [talk("说", text, id="a"), talk("说", text[:150] + "改" + text[151:], id="b")]
    assert [one.id for batch in clean(talks, [], [NearDuplicates()], tally=Tally()) for one in batch] == ["a"]


def report() -> Report:
    tally = Tally(read=2, written=1)
    for n in range(9):
        tally.add(Reason("html", "changed", "made Markdown"), f"id{n}", "<script>alert(1)</script>")
    return Report("in.json", "out.json", ["html", "duplicates"], {"min_chars": 16}, tally)


def test_a_report_is_json_with_a_few_examples(tmp_path: Path) -> None:
    write_report(tmp_path / "r.json", report())
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["conversations"] == {"read": 2, "unreadable": 0, "written": 1}
    [finding] = found["findings"]
    assert (finding["rule"], finding["count"], len(finding["examples"])) == ("html", 9, 5)


def test_a_report_is_a_page_that_fetches_and_runs_nothing() -> None:
    text = page(report())
    assert html.escape("<script>alert(1)</script>") in text
    assert not re.search(r"<script|src=|href=|url\(", text)
    assert "default-src 'none'" in text


def test_a_report_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"name it \.html or \.json"):
        write_report(tmp_path / "r.txt", report())
