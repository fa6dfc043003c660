"""Tokens on disk."""

import pickle
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.records import Conversation
from fastchat.train.chat_format import find_format
from fastchat.train.encoding import Encoder
from fastchat.train.token_store import TokenStore, digest_of_files, open_store
from tests.train.small import conversation, llama_tokenizer

TALKS = [conversation("Who are you?", "Vicuna. " * times, id=str(times), weight=times % 3) for times in range(1, 200)]


class _Reader:
    """Counts how often it is asked."""

    def __init__(self, talks: Iterable[Conversation] = TALKS) -> None:
        self.times, self.talks = 0, talks

    def __call__(self) -> Iterable[Conversation]:
        self.times += 1
        return self.talks


def _encoder(**settings: Any) -> Encoder:
    tokenizer = llama_tokenizer()
    return Encoder(tokenizer, find_format("", tokenizer, "vicuna_v1.1"), **{"max_length": 300, **settings})


def test_samples_come_back_as_they_were(tmp_path: Path) -> None:
    samples = list(_encoder().encode(TALKS))

    store = open_store(tmp_path, _encoder(), "digest", _Reader())
    again = pickle.loads(pickle.dumps(store))

    for kept in (store, again):
        assert len(kept) == len(samples)
        assert kept.lengths.tolist() == [len(sample.ids) for sample in samples]
        for mine, theirs in zip(samples, map(kept.__getitem__, range(len(kept))), strict=True):
            assert (mine.ids.tolist(), mine.trained.tolist()) == (theirs.ids.tolist(), theirs.trained.tolist())
        assert [kept[at].weight for at in range(3)] == [1, 2, 0]
    assert store.is_weighted


def test_a_token_takes_little_more_than_two_bytes(tmp_path: Path) -> None:
    store = open_store(tmp_path, _encoder(), "digest", _Reader())

    assert store.nbytes / store.lengths.sum() < 2.2


def test_a_store_is_used_again_until_something_changes(tmp_path: Path) -> None:
    read = _Reader()
    first = open_store(tmp_path, _encoder(), "digest", read)

    assert open_store(tmp_path, _encoder(), "digest", read).folder == first.folder
    assert read.times == 1
    assert open_store(tmp_path, _encoder(), "other data", read).folder != first.folder
    assert open_store(tmp_path, _encoder(max_length=200), "digest", read).folder != first.folder


def test_those_who_ask_together_wait_for_one(tmp_path: Path) -> None:
    read = _Reader()
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_store(tmp_path, _encoder(), "digest", read), range(4)))

    assert read.times == 1
    assert len({store.folder for store in stores}) == 1


def test_an_interrupted_one_is_built_again(tmp_path: Path) -> None:
    def breaks_off() -> Iterator[Conversation]:
        yield from TALKS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_store(tmp_path, _encoder(), "digest", breaks_off)

    assert len(open_store(tmp_path, _encoder(), "digest", _Reader())) == len(TALKS)


def test_what_trains_nothing_is_an_error_each_time(tmp_path: Path) -> None:
    read = _Reader([*TALKS, *(conversation("No answer?") for _ in range(5))])

    for _ in range(2):
        with pytest.raises(SetupError, match="5 of 204 samples train nothing"):
            open_store(tmp_path, _encoder(), "digest", read)
    assert read.times == 1
    with pytest.raises(SetupError, match="no conversations"):
        open_store(tmp_path, _encoder(), "none", _Reader([]))


def test_large_vocabularies_take_four_bytes(tmp_path: Path) -> None:
    encoder = _encoder()
    encoder.vocabulary_size = 1 << 17

    assert TokenStore(open_store(tmp_path, encoder, "digest", _Reader()).folder)[0].ids.dtype == "uint32"


def test_the_digest_of_files_is_of_what_they_hold(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")

    assert digest_of_files([one]) != digest_of_files([two])
    assert digest_of_files([one, two]) != digest_of_files([two, one])
    before = digest_of_files([one])
    two.write_text("a")
    assert digest_of_files([two]) == before
