import asyncio
import json
import resource
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError, WorkerFailed
from fastchat.llm_judge.asking import Call, Reply
from fastchat.llm_judge.budget import Budget, BudgetSpent, most_prompt_tokens, read_spending
from fastchat.llm_judge.prices import Price, PriceList

OWN = '[[price]]\nmatch = "judge*"\ninput = 1000\noutput = 10000\n'  # a tenth of a cent, a cent: for a token


def call(text: str = "12", max_tokens: int = 9) -> Call:
    """It costs a cent at most to ask this (10 tokens), and up to nine to have it answered."""
    return Call("judge-1", [{"role": "user", "content": text}], max_tokens=max_tokens)


@pytest.fixture
def prices(tmp_path: Path) -> PriceList:
    file = tmp_path / "prices.toml"
    file.write_text(OWN)
    return PriceList.read(file)


class Endpoint:
    def __init__(self, *, prompt_tokens: int | None = 10, completion_tokens: int | None = 4) -> None:
        self.calls = 0
        self.reply = Reply("four", prompt_tokens, completion_tokens)

    async def __call__(self, call: Call) -> Reply:
        self.calls += 1
        await asyncio.sleep(0)
        return self.reply


async def gathered(budget: Budget, endpoint: Endpoint, calls: Sequence[Call]) -> Sequence[Reply | BaseException]:
    with budget.ledger() as paid:
        ask = paid(endpoint)
        return await asyncio.gather(*map(ask, calls), return_exceptions=True)


async def test_real_usage_is_what_counts(prices: PriceList, tmp_path: Path) -> None:
    budget = Budget(prices, tmp_path)
    await gathered(budget, Endpoint(), [call()] * 3)
    assert budget.spending.usd == pytest.approx(3 * 0.05)
    assert (budget.spending.prompt_tokens, budget.spending.completion_tokens) == (30, 12)
    assert read_spending(tmp_path) == budget.spending


async def test_a_limit_is_never_passed_however_many_ask_at_once(prices: PriceList, tmp_path: Path) -> None:
    budget, endpoint = Budget(prices, tmp_path, 0.32), Endpoint()
    replies = await gathered(budget, endpoint, [call()] * 50)
    answered = [reply for reply in replies if isinstance(reply, Reply)]
    # Five cost 25 cents; the sixth might take ten more.
    assert len(answered) == endpoint.calls == 5
    assert all(isinstance(reply, BudgetSpent) for reply in replies if not isinstance(reply, Reply))
    assert budget.spending.usd == pytest.approx(0.25)
    assert budget.left_usd == pytest.approx(0.07)


async def test_whoever_does_not_fit_yet_waits_for_what_comes_back_cheaper(prices: PriceList, tmp_path: Path) -> None:
    # Set aside, two calls are more than there is; in truth they cost half.
    budget = Budget(prices, tmp_path, 0.19)
    replies = await gathered(budget, Endpoint(), [call(), call()])
    assert all(isinstance(reply, Reply) for reply in replies)


async def test_the_next_run_goes_on_with_what_the_last_one_left(prices: PriceList, tmp_path: Path) -> None:
    await gathered(Budget(prices, tmp_path, 0.32), Endpoint(), [call()] * 50)
    endpoint = Endpoint()
    await gathered(Budget(prices, tmp_path, 0.32), endpoint, [call()] * 50)
    assert endpoint.calls == 0
    await gathered(Budget(prices, tmp_path, 0.36), endpoint, [call()] * 50)
    assert endpoint.calls == 1


async def test_a_call_that_fails_costs_nothing_and_gives_back_what_was_set_aside(
    prices: PriceList, tmp_path: Path
) -> None:
    async def broken(_: Call) -> Reply:
        raise WorkerFailed("broken")

    budget = Budget(prices, tmp_path, 0.1)
    with budget.ledger() as paid:
        for _ in range(3):
            with pytest.raises(WorkerFailed):
                await paid(broken)(call())
        await paid(Endpoint())(call())
    assert budget.spending.calls == 1


async def test_where_the_server_does_not_count_the_most_there_can_be_counts(prices: PriceList, tmp_path: Path) -> None:
    budget = Budget(prices, tmp_path)
    await gathered(budget, Endpoint(prompt_tokens=None, completion_tokens=None), [call()])
    assert (budget.spending.prompt_tokens, budget.spending.completion_tokens) == (10, 4)


def test_a_prompt_has_no_more_tokens_than_bytes() -> None:
    assert most_prompt_tokens(call("ü" * 10)) == 28


async def test_half_a_line_of_a_killed_process_is_taken_away(prices: PriceList, tmp_path: Path) -> None:
    await gathered(Budget(prices, tmp_path), Endpoint(), [call()] * 2)
    ledger = tmp_path / "costs.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-7])
    budget = Budget(prices, tmp_path)
    assert budget.spending.calls == 1
    await gathered(budget, Endpoint(), [call()])
    assert [json.loads(line)["model"] for line in ledger.read_text().splitlines()] == ["judge-1"] * 2


def test_a_damaged_ledger_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "costs.jsonl").write_text("what?\n")
    with pytest.raises(SetupError, match="line 1"):
        read_spending(tmp_path)


def test_a_limit_needs_prices(prices: PriceList, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no price is known for the model 'mystery'"):
        Budget(prices, tmp_path, 1).check("mystery")
    Budget(prices, tmp_path).check("mystery")
    Budget(prices, tmp_path, 1, free=frozenset({"mystery"})).check("mystery")


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("gpt-4o", Price(2.5, 10, 0.5)),
        ("openai/GPT-4o", Price(2.5, 10, 0.5)),
        ("gpt-4o-2024-08-06", Price(2.5, 10, 0.5)),
        ("gpt-4o-2024-05-13", Price(5, 15, 0.5)),
        ("gpt-4o-mini-2024-07-18", Price(0.15, 0.6, 0.5)),
        ("judge-1", Price(1000, 10000)),
        ("gpt-4o-realtime", None),
        ("gpt-99", None),
    ],
)
def test_prices_by_name(prices: PriceList, model: str, price: Price | None) -> None:
    assert prices.find(model) == price


def test_ones_own_price_goes_before_ours(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('[[price]]\nmatch = "gpt-4o"\ninput = 1\noutput = 2\n')
    assert PriceList.read(file).find("gpt-4o") == Price(1, 2)


A_PRICE = '[[price]]\nmatch = "y"\ninput = 1\noutput = 2\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("price = ", "no TOML"),
        ('[[price]]\nmatch = "x"\ninput = -1\noutput = 2\n', "prices.toml:3: input: .*greater than or equal to 0"),
        ('[[price]]\nmatch = "x"\ninput = nan\noutput = 2\n', "prices.toml:3: input: .*finite"),
        ('[[price]]\nmatch = "x"\ninput = 1\n# so much\noutput = "2"\n', "prices.toml:5: output: .*valid number"),
        (f"{A_PRICE}\n[[price]]\nmatch = 7\ninput = 1\noutput = 2\n", "prices.toml:7: match: .*valid string"),
        (f'{A_PRICE}\n[[price]]\nmatch = "x"\ninput = 1\n', "prices.toml:6: output: field required"),
        (f"{A_PRICE}cached = 1\n", "prices.toml:5: cached: there is no such field"),
        (f"{A_PRICE}batch = 1.5\n", "prices.toml:5: batch: .*less than or equal to 1"),
        ('[[prices]]\nmatch = "x"\n', "prices.toml: price: field required"),
        ("price = [{match = 'x', input = -1, output = 1}]", "prices.toml: input: .*greater"),
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(SetupError, match=message):
        PriceList.read(file)


async def test_half_a_character_counts(prices: PriceList, tmp_path: Path) -> None:
    budget = Budget(prices, tmp_path, 1.0)
    (reply,) = await gathered(budget, Endpoint(prompt_tokens=None), [call("\ud83d")])
    assert isinstance(reply, Reply)
    assert budget.spending.prompt_tokens == 11


@pytest.fixture
def room() -> Iterator[Callable[[int], None]]:
    """Lets no file grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_said_and_leaves_no_half_line(
    prices: PriceList, tmp_path: Path, room: Callable[[int], None]
) -> None:
    budget = Budget(prices, tmp_path)
    await gathered(budget, Endpoint(), [call()])
    before = (tmp_path / "costs.jsonl").read_bytes()
    for more in (20, 0):
        room(len(before) + more)
        (error,) = await gathered(budget, Endpoint(), [call()])
        assert isinstance(error, SetupError)
        assert (tmp_path / "costs.jsonl").read_bytes() == before
