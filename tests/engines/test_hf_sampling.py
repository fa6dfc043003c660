"""How tokens are drawn, against transformers' own processors where it has one."""

import math
from collections import Counter
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers")

from transformers.generation import (  # noqa: E402
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from fastchat.engines.base import Sampling  # noqa: E402
from fastchat.engines.hf.sampling import Sampler, candidates, draw  # noqa: E402

VOCABULARY = 1000


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def logits(rows: int = 1, *, seed: int = 0, spread: float = 3.0) -> torch.Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * spread


def drawn(row: torch.Tensor, times: int = 1, *, prompt: tuple[int, ...] = (), **sampling: Any) -> list[int]:
    sampler = Sampler(Sampling(**sampling), prompt)
    return [draw(row[None].clone(), [sampler])[0] for _ in range(times)]


@pytest.mark.parametrize("spread", [0.1, 3.0])  # nearly all tokens alike, and a few likely ones
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(top_k=5),
        Sampling(top_k=VOCABULARY + 7),
        Sampling(top_p=0.9),
        Sampling(min_p=0.05),
        Sampling(temperature=0.7, top_k=40, top_p=0.8),
        Sampling(temperature=1.5, top_k=300, top_p=0.95, min_p=0.02),
        Sampling(top_p=0.01),
    ],
)
def test_what_is_kept_is_what_transformers_keeps(sampling: Sampling, spread: float) -> None:
    rows = logits(3, spread=spread)
    oracle = LogitsProcessorList([TemperatureLogitsWarper(float(sampling.temperature))])
    if sampling.top_k:
        oracle.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        oracle.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        oracle.append(MinPLogitsWarper(sampling.min_p))
    expected = oracle(torch.zeros((3, 1), dtype=torch.long), rows.clone()).softmax(-1)
    found = candidates(rows / sampling.temperature, [sampling] * 3, VOCABULARY)
    probabilities = torch.zeros_like(rows).scatter(-1, found.tokens, found.probabilities)
    assert torch.allclose(probabilities / probabilities.sum(-1, keepdim=True), expected, atol=1e-6)


def test_few_candidates_say_when_they_are_not_all() -> None:
    rows = torch.cat([logits(spread=10), logits(spread=0.1), logits(spread=0.1)])
    settings = [Sampling(top_p=0.9), Sampling(top_p=0.9), Sampling(top_k=64)]
    assert candidates(rows, settings, 64).has_all.tolist() == [True, False, True]


@pytest.mark.parametrize("sampling", [Sampling(top_k=500, top_p=0.8), Sampling(top_k=500, top_p=0.8, min_p=0.03)])
def test_of_what_top_k_keeps_all_must_be_known_for_a_share(sampling: Sampling) -> None:
    """`top_p` is a share of it, so 64 candidates that hold that much are not enough."""
    row = logits(spread=2.0)
    few, all_of_them = [candidates(row, [sampling], count) for count in (64, VOCABULARY)]
    kept = [int((found.probabilities > 0).sum()) for found in (few, all_of_them)]
    assert not few.has_all[0] or kept[0] == kept[1]


def test_a_flat_distribution_is_cut_at_the_right_place_too() -> None:
    """More tokens are kept than are looked at first."""
    flat = torch.cat([torch.zeros(20_000), torch.full((20_000,), -100.0)])
    tokens = drawn(flat, 100, top_p=0.5, seed=1)
    assert max(tokens) < 20_000
    assert len(set(tokens)) > 80


def test_the_repetition_penalty_is_that_of_transformers() -> None:
    row, seen = logits()[0], [3, 5, 8, 8]
    expected = RepetitionPenaltyLogitsProcessor(1.3)(torch.tensor([seen]), row[None].clone())[0]
    sampler = Sampler(Sampling(repetition_penalty=1.3), seen[:2])
    for token in seen[2:]:
        sampler.note(token)
    sampler.adjust(row)
    assert torch.allclose(row, expected)


def test_presence_and_frequency_count_the_answer_and_not_the_prompt() -> None:
    row = torch.zeros(10)
    sampler = Sampler(Sampling(presence_penalty=0.5, frequency_penalty=0.25), [1, 1, 2])
    for token in (4, 4, 4, 5):
        sampler.note(token)
    sampler.adjust(row)
    assert row.tolist() == [0, 0, 0, 0, -1.25, -0.75, 0, 0, 0, 0]


def test_bias_and_forbidden_tokens() -> None:
    row = torch.zeros(6)
    Sampler(Sampling(logit_bias={2: 5.0, 4: -100.0}), [], forbidden=[1]).adjust(row)
    assert row.tolist() == [0, -math.inf, 5, 0, -100, 0]


def test_greedy_takes_the_likeliest_of_the_allowed() -> None:
    row = torch.tensor([[1.0, 3.0, 2.0, 0.0]])
    greedy = [Sampler(Sampling(temperature=0), [])]
    assert draw(row.clone(), greedy) == [1]
    assert draw(row.clone(), greedy, [torch.tensor([True, False, True, True])]) == [2]


@pytest.mark.parametrize("sampling", [{}, {"top_p": 0.999999}])
def test_tokens_come_as_often_as_they_are_likely(sampling: dict[str, float]) -> None:
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0])
    counts = Counter(drawn(shares.log(), 4000, seed=7, **sampling))
    assert counts[4] == 0
    for token, share in enumerate(shares.tolist()):
        assert counts[token] / 4000 == pytest.approx(share, abs=4 * math.sqrt(0.25 / 4000))


def test_a_temperature_makes_the_likely_likelier() -> None:
    shares = torch.tensor([0.6, 0.4])
    cold = Counter(drawn(shares.log(), 2000, seed=7, temperature=0.5))
    assert cold[0] / 2000 == pytest.approx(0.36 / (0.36 + 0.16), abs=0.05)


@pytest.mark.parametrize("sampling", [{}, {"top_p": 0.9}, {"top_k": 50, "temperature": 2.0}])
def test_a_seed_gives_the_same_tokens_whoever_is_beside(sampling: dict[str, Any]) -> None:
    rows = logits(5)
    alone = drawn(rows[2], 10, seed=11, **sampling)
    strangers = [
        Sampling(seed=1),
        Sampling(top_p=0.3),
        Sampling(**sampling, seed=11),
        Sampling(temperature=0),
        Sampling(),
    ]
    samplers = [Sampler(one, []) for one in strangers]
    assert [draw(rows.clone(), samplers)[2] for _ in range(10)] == alone
    assert drawn(rows[2], 10, seed=12, **sampling) != alone
    assert drawn(rows[2], 10, **sampling) != drawn(rows[2], 10, **sampling)


@pytest.mark.parametrize("sampling", [{}, {"top_p": 0.9}, {"temperature": 0}, {"temperature": 1e-300}])
@pytest.mark.parametrize("numbers", [[-math.inf] * 4, [math.nan] * 4, [math.inf, 0.0, 0.0, 0.0]])
def test_numbers_that_are_none_still_give_a_token(sampling: dict[str, float], numbers: list[float]) -> None:
    """Requests of others are drawn in the same call, and must not fail with this one."""
    assert 0 <= drawn(torch.tensor(numbers), **sampling)[0] < 4


def test_the_last_number_leads_to_a_possible_token() -> None:
    """However close to 1 a random number is, what has no probability is not drawn."""

    class Highest(Sampler):
        def next_number(self) -> float:
            return math.nextafter(1.0, 0.0)

    row = torch.tensor([[0.0, 1.0, -math.inf, -math.inf]])
    assert draw(row.clone(), [Highest(Sampling(), [])]) == [1]
    assert draw(row.clone(), [Highest(Sampling(top_p=0.9), [])]) == [0]  # the second of two, best first
