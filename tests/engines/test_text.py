from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fastchat.engines.base import TokenLogprob
from fastchat.engines.text import CharacterStream, LogprobQueue, StopStrings

# A small alphabet makes stop strings overlap with the text and with each other.
short = st.text("abc€", min_size=1, max_size=4)


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


def token(piece: bytes) -> TokenLogprob:
    return TokenLogprob(piece.decode(errors="replace"), -1.0, tuple(piece))


@given(st.text(), st.integers(1, 5))
def test_characters_come_out_whole_whatever_the_pieces(text: str, size: int) -> None:
    data, characters = text.encode(), CharacterStream()
    parts = [characters.push(data[start : start + size]) for start in range(0, len(data), size)]
    assert "".join(parts) == text
    assert all("\ufffd" not in part or "\ufffd" in text for part in parts)


def test_half_a_character_at_the_end_is_never_shown() -> None:
    assert CharacterStream().push("ab😀".encode()[:-1]) == "ab"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert CharacterStream().push(b"a\xffb") == "a\ufffdb"


@given(st.text("abc€", max_size=30), st.lists(short, max_size=4), st.lists(st.integers(0, 30)))
def test_the_pieces_do_not_change_where_the_text_stops(text: str, stops: list[str], places: list[int]) -> None:
    whole, pieces = StopStrings(stops), StopStrings(stops)
    sent = whole.push(text) + whole.flush()
    assert "".join(pieces.push(part) for part in cut(text, places)) + pieces.flush() == sent
    assert pieces.found == whole.found


@given(st.text("abc€", max_size=30), st.lists(short, max_size=4), st.lists(st.integers(0, 30)))
def test_everything_before_the_stop_is_sent_and_nothing_of_it(text: str, stops: list[str], places: list[int]) -> None:
    reader = StopStrings(stops)
    sent = "".join(reader.push(part) for part in cut(text, places))
    if reader.found is None:
        assert sent + reader.flush() == text
        assert not any(stop in text for stop in stops)
    else:
        assert text.startswith(sent + reader.found)
        assert not any(stop in sent for stop in stops)
        assert reader.flush() == ""


@given(st.text("abc€", max_size=30), st.lists(short, min_size=1, max_size=4))
def test_what_is_held_back_could_still_become_a_stop(text: str, stops: list[str]) -> None:
    reader = StopStrings(stops)
    sent = reader.push(text)
    if reader.found is None:
        held = text[len(sent) :]
        assert held == "" or any(stop.startswith(held) for stop in stops)


def test_of_two_stops_the_one_that_is_complete_first_counts() -> None:
    reader = StopStrings(["abc", "b"])
    assert reader.push("xabc") == "xa"
    assert reader.found == "b"
    assert reader.rest == "c"


def test_of_two_stops_that_end_together_the_longer_counts() -> None:
    reader = StopStrings(["c", "abc"])
    assert reader.push("xabc") == "x"
    assert reader.found == "abc"


def test_logprobs_wait_for_their_text() -> None:
    queue, smile = LogprobQueue(), "😀".encode()
    queue.push([token(smile[:2])])
    assert queue.take("") == ()
    queue.push([token(smile[2:])])
    assert [entry.bytes for entry in queue.take("😀")] == [tuple(smile[:2]), tuple(smile[2:])]


def test_where_the_text_was_cut_only_a_partly_visible_token_is_told() -> None:
    queue = LogprobQueue()
    queue.push([token(b"abST"), token(b"OP")])
    assert queue.take("ab") == ()
    assert [entry.token for entry in queue.finish(cut=True)] == ["abST"]


def test_a_hidden_token_is_not_told() -> None:
    queue = LogprobQueue()
    queue.push([token(b"STOP")])
    assert queue.finish(cut=True) == ()


def test_a_token_without_text_is_not_told() -> None:
    queue = LogprobQueue()
    queue.push([token(b"")])
    assert queue.finish(cut=False) == ()
