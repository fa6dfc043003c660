from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.arena.duplicates import (
    LONGEST_PROMPT,
    DuplicateTag,
    RecentPrompts,
    deduplicate,
    digest,
    frequency_cut,
    normalise,
)
from tests.clocks import Clock

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hi", "  hi!!"),
        ("What is 1+1?", "what is\n1+1"),
        ("“Hello”", "hello"),
        ("ＨＩ", "hi"),
        ("hi\u200b", "hi"),
        ("Straße", "STRASSE."),
        ("¿Quién eres?", "quién eres"),
        ("你好！", "你好"),
        ("hello , world", "Hello, world"),
        ("cafe\u0301", "café"),
    ],
)
def test_prompts_that_count_as_one(one: str, other: str) -> None:
    assert digest(one, KEY) == digest(other, KEY)


@pytest.mark.parametrize(
    ("one", "other"),
    [("3 - 2", "3 / 2"), ("3-2", "32"), ("?", "!"), ("don't", "dont"), ("😀", "😢"), ("hi", "hello"), ("a b", "ab")],
)
def test_prompts_that_do_not(one: str, other: str) -> None:
    assert digest(one, KEY) != digest(other, KEY)


@given(st.text())
def test_normalising_twice_changes_nothing(prompt: str) -> None:
    assert normalise(normalise(prompt)) == normalise(prompt)
    assert normalise(f" {prompt}\t ") == normalise(prompt)


def test_a_digest_needs_the_key_and_holds_nothing_of_the_prompt() -> None:
    assert digest("hi", KEY) != digest("hi", b"x" * 32)
    assert len(digest("a" * 100, KEY)) == len(digest("", KEY))


def test_the_end_of_a_very_long_prompt_is_not_compared() -> None:
    long = "word " * LONGEST_PROMPT
    assert digest(long, KEY) == digest(long + "more", KEY)


def recent(clock: Clock, *, limit: int = 3, capacity: int = 100) -> RecentPrompts:
    return RecentPrompts(window_s=60, limit=limit, capacity=capacity, clock=clock)


def test_a_prompt_is_frequent_from_one_more_than_the_limit_on() -> None:
    prompts = recent(Clock(), limit=3)
    seen = [prompts.add("hi", f"voter {number}") for number in range(5)]
    assert [each.is_frequent for each in seen] == [False, False, False, True, True]
    assert not any(each.is_repeated for each in seen)
    assert not prompts.add("other", "voter 1").is_frequent


def test_a_prompt_is_repeated_by_its_own_voter_only() -> None:
    prompts = recent(Clock())
    assert not prompts.add("hi", "a").is_repeated
    assert not prompts.add("hi", "b").is_repeated
    assert prompts.add("hi", "a").is_repeated
    assert not prompts.add("ho", "a").is_repeated


def test_what_is_older_than_the_window_is_forgotten() -> None:
    clock = Clock()
    prompts = recent(clock)
    prompts.add("hi", "a")
    clock.advance(59.9)
    assert prompts.add("hi", "a").by_voter == 1
    clock.advance(0.1)
    assert prompts.add("hi", "a").by_voter == 1
    clock.advance(60)
    assert prompts.add("hi", "a").by_all == 0
    assert prompts.counts == {"hi": 1}


def test_memory_is_bounded() -> None:
    prompts = recent(Clock(), capacity=10)
    for number in range(1000):
        prompts.add(str(number), "a")
    assert list(prompts.counts) == [str(number) for number in range(990, 1000)]
    assert len(prompts._by_voter) == 10


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 30)), max_size=30))
def test_it_counts_like_one_who_remembers_everything(sent: list[tuple[str, str, int]]) -> None:
    clock = Clock()
    prompts = recent(clock)
    past: list[tuple[float, str, str]] = []
    for prompt, voter, pause in sent:
        clock.advance(pause)
        within = [(each, by) for at, each, by in past if at > clock.now - 60]
        seen = prompts.add(prompt, voter)
        assert seen.by_all == sum(each == prompt for each, _ in within)
        assert seen.by_voter == within.count((prompt, voter))
        past.append((clock.now, prompt, voter))


@given(st.lists(st.integers(1, 10_000), min_size=1), st.floats(0, 1))
def test_the_cut_is_numpys_quantile(counts: list[int], quantile: float) -> None:
    assert frequency_cut(counts, quantile) == pytest.approx(float(np.quantile(counts, quantile)))


def test_a_cut_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs counts"):
        frequency_cut([])


def test_of_a_frequent_prompt_as_many_stay_as_the_cut_says() -> None:
    """1 prompt in 101 is far above the rest: with the quantile 0.99 the cut is at the 2 that all others have."""
    prompts = [str(number) for number in range(100)] * 2 + ["hi"] * 50
    tags = deduplicate(prompts, Random(42), 0.99)
    assert tags[:200] == [DuplicateTag(high_freq=False, sampled=True)] * 200
    assert Counter(tags[200:]) == {DuplicateTag(True, True): 2, DuplicateTag(True, False): 48}
    assert deduplicate(prompts, Random(42), 0.99) == tags
    assert deduplicate(prompts, Random(43), 0.99) != tags


@given(st.lists(st.sampled_from("abcdef")), st.floats(0, 1))
def test_no_prompt_counts_more_often_than_the_cut_or_disappears(prompts: list[str], quantile: float) -> None:
    tags = deduplicate(prompts, Random(0), quantile)
    counts = Counter(prompts)
    left = Counter(prompt for prompt, tag in zip(prompts, tags, strict=True) if tag.sampled)
    assert set(left) == set(counts)
    if counts:
        cut = frequency_cut(counts.values(), quantile)
        assert all(left[prompt] == (count if count <= cut else int(cut)) for prompt, count in counts.items())
