import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.access.limits import RateLimit, Rule, admit, parse_rules
from fastchat.core.errors import RateLimited, SetupError
from fastchat.protocol.openai import error_reply
from tests.clocks import Clock


def test_rules_are_written_as_text() -> None:
    assert parse_rules("30/minute, 500/day,5/10 minutes") == (Rule(30, 60), Rule(500, 86400), Rule(5, 600))
    assert parse_rules(" ") == ()


@pytest.mark.parametrize(
    "text", ["30", "0/minute", "30/fortnight", "-1/day", "1.5/day", "30/minute 5/day", "1/0minutes"]
)
def test_what_is_no_rule_is_named(text: str) -> None:
    with pytest.raises(SetupError, match="is no rate limit"):
        parse_rules(text)


def test_a_burst_is_allowed_and_then_one_at_a_time() -> None:
    clock = Clock()
    limit = RateLimit(parse_rules("3/minute"), clock=clock)
    for _ in range(3):
        assert limit.wait_s("ada") == 0
        limit.count("ada")
    assert limit.wait_s("ada") == pytest.approx(20)
    assert limit.wait_s("bob") == 0
    clock.advance(20)
    assert limit.wait_s("ada") == 0
    limit.count("ada")
    assert limit.wait_s("ada") == pytest.approx(20)
    clock.advance(1000)
    assert limit.wait_s("ada") == 0


def test_the_strictest_rule_counts() -> None:
    clock = Clock()
    limit = RateLimit(parse_rules("2/second, 3/hour"), clock=clock)
    for _ in range(2):
        limit.count("ada")
    assert limit.wait_s("ada") == pytest.approx(0.5)
    clock.advance(0.5)
    limit.count("ada")
    assert limit.wait_s("ada") == pytest.approx(1199.5)


def test_whoever_is_refused_by_one_limit_is_charged_by_none() -> None:
    clock = Clock()
    by_voter, by_address = (RateLimit(parse_rules(text), clock=clock) for text in ("1/minute", "2/minute"))
    admit("votes", (by_voter, "ada"), (by_address, "home"))
    for _ in range(5):
        with pytest.raises(RateLimited) as caught:
            admit("votes", (by_voter, "ada"), (by_address, "home"))
    admit("votes", (by_voter, "bob"), (by_address, "home"))
    with pytest.raises(RateLimited):
        admit("votes", (by_voter, "eve"), (by_address, "home"))  # a new cookie does not make a new address
    assert caught.value.retry_after_s == 60
    assert caught.value.message == "Too many votes. Try again in 60 seconds."


def test_the_answer_says_when_to_come_again() -> None:
    limit = RateLimit(parse_rules("2/day"), clock=Clock())
    admit("votes", (limit, "ada"))
    admit("votes", (limit, "ada"))
    with pytest.raises(RateLimited, match="in 12 hours") as caught:
        admit("votes", (limit, "ada"))
    body, headers = error_reply(caught.value)
    assert (caught.value.status, headers["retry-after"]) == (429, "43200")
    assert body["error"]["code"] == "rate_limit_exceeded"


def test_no_rules_no_limit_and_no_memory() -> None:
    limit = RateLimit(())
    for _ in range(1000):
        admit("votes", (limit, "ada"))
    assert len(limit) == 0


def test_memory_is_bounded_and_follows_use() -> None:
    clock = Clock()
    limit = RateLimit(parse_rules("1/hour"), clock=clock, max_keys=100)
    for number in range(1000):
        limit.count(f"key {number}")
    assert len(limit) == 100
    assert limit.wait_s("key 999") > 0
    clock.advance(3600)
    for number in range(60):
        limit.count(f"later {number}")
    assert len(limit) == 60


@given(st.integers(1, 20), st.integers(1, 100), st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200))
def test_over_any_span_no_more_get_through_than_bucket_and_refill(count: int, period: int, pauses: list[float]) -> None:
    clock = Clock()
    limit = RateLimit((Rule(count, period),), clock=clock)
    let_through: list[float] = []
    for pause in pauses:
        clock.advance(pause)
        if not limit.wait_s("k"):
            limit.count("k")
            let_through.append(clock.now)
    for first, begin in enumerate(let_through):
        for last, end in enumerate(let_through[first:], 1):
            assert last <= count + (end - begin) * count / period + 1e-3
