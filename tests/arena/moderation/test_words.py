import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.arena.moderation.base import Spec, Surroundings
from fastchat.arena.moderation.words import Finding, WordList, load
from fastchat.core.errors import SetupError


def found(entry: str, text: str) -> bool:
    return bool(list(WordList([entry], "list").findings(text)))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("ass", "What an ass!"),
        ("ass", "ass"),
        ("ass", "snake_ass_case"),
        ("Ass", "you ASS."),
        ("straße", "STRASSE"),
        ("naïve", "nai\u0308ve"),
        ("bad", "ｂａｄ"),
        ("bad", "b\u200ba\u00add"),
        ("fire", "ﬁre"),
        ("very bad", "very\n  bad"),
        ("坏词", "这是一个坏词吗"),
        ("坏词", "hello坏词hello"),
        ("bad", "这是bad吗"),
        ("ばか", "あなたはばかです"),
        ("바보", "너는 바보야"),
        ("f*ck", "F*CK it"),
        ("плохо", "это ПЛОХО."),
        ("เลว", "คนเลวมาก"),
        (r"re: b[a4]d+", "oh B4DDD"),
        (r"re:\bc\w+t\b", "a cat"),
    ],
)
def test_a_word_is_found(entry: str, text: str) -> None:
    assert found(entry, text)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("ass", "a class of grass, assets"),
        ("ass", "ass1"),
        ("bad", "badé"),
        ("क", "कि"),  # a vowel sign belongs to its letter
        ("바보", "산바보"),
        ("very bad", "very good, bad"),
        ("坏词", "坏人的词"),
        (r"re: \bcat\b", "concatenate"),
    ],
)
def test_a_part_of_another_word_is_not(entry: str, text: str) -> None:
    assert not found(entry, text)


def test_a_longer_entry_does_not_hide_a_shorter_one() -> None:
    words = WordList(["bad", "bad wolf", "wolf"], "list")
    assert {finding.line for finding in words.findings("a bad wolf")} == {1, 2, 3}
    assert {finding.line for finding in words.findings("a bad wolfram")} == {1}


async def test_a_judgement_names_categories_and_lines_but_not_the_words() -> None:
    words = WordList(["# mild", "darn", "", "[violence]", "slay", "re: k[i1]ll"], "list.txt")
    judged = await words.check("Darn, K1LL it, darn", role="user")
    assert judged.is_flagged
    assert judged.categories == {"words": 1.0, "violence": 1.0}
    assert judged.detail == "list.txt:2, list.txt:6"
    assert not (await words.check("Hello", role="user")).is_flagged


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1), st.text(st.characters(codec="utf-8")))
def test_any_words_and_any_text_can_be_compared(entries: list[str], text: str) -> None:
    try:
        words = WordList(["word", *entries], "list")
    except SetupError:
        return
    assert Finding("words", 1) in list(words.findings(f"{text} word {text}"))


@given(st.text("abc", min_size=1, max_size=4), st.text("abc -", max_size=20))
def test_it_finds_what_a_regular_expression_finds(entry: str, text: str) -> None:
    assert found(entry, text) == found(rf"re: (?<!\w){entry}(?!\w)", text)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ok\nre: (", r"list\.txt:2: '\(' is no regular expression"),
        (b"re: a*", r"list\.txt:1: 'a\*' matches the empty text"),
        (b"ok\n[violence\nx", r"list\.txt:2: .* in brackets"),
        (b"[]\nx", r"list\.txt:1: "),
        ("a\n\u200b".encode(), r"list\.txt:2: .*invisible"),
        (b"a\nb\nc\xff", r"list\.txt:3: this is not UTF-8"),
        (b"# nothing\n\n", r"list\.txt holds no word"),
    ],
)
async def test_a_list_that_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, around: Surroundings, content: bytes, words: str
) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    with pytest.raises(SetupError, match=words):
        await load(Spec("words", str(file)), around)


async def test_a_file_is_needed_and_has_to_be_there(tmp_path: Path, around: Surroundings) -> None:
    with pytest.raises(SetupError, match="takes a file"):
        await load(Spec("words"), around)
    with pytest.raises(SetupError, match=r"none\.txt cannot be read: No such file"):
        await load(Spec("words", str(tmp_path / "none.txt")), around)


async def test_a_file_from_windows_is_read_too(tmp_path: Path, around: Surroundings) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"\xef\xbb\xbfdarn\r\nslay\r\n")
    assert [finding.line for finding in (await load(Spec("words", str(file)), around)).findings("slay, darn")] == [2, 1]


async def test_long_texts_hold_up_nobody_else() -> None:
    threads: list[threading.Thread] = []

    class Noting(WordList):
        def findings(self, text: str) -> Iterator[Finding]:
            threads.append(threading.current_thread())
            return super().findings(text)

    assert (await Noting(["bad"], "list").check("bad", role="user")).is_flagged
    assert threads
    assert threading.main_thread() not in threads
