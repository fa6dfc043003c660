from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from fastchat.llm_judge.results.agreement import agreements, cohen_kappa, gwet_ac1, krippendorff_alpha, majority
from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.results.opinions import Choice, Item, Opinion, opinion
from tests.llm_judge.results.judgments import table

A, B, TIE = Choice.A, Choice.B, Choice.TIE


def votes(people: Sequence[Choice], judge: Choice | None = None, question: int = 1) -> list[Opinion]:
    item = Item(question, 1, "x", "y")
    said = [opinion(item, choice, f"expert_{at}", "human") for at, choice in enumerate(people)]
    return said if judge is None else [*said, opinion(item, judge, "gpt-4", "gpt4-pair")]


def test_the_papers_example() -> None:
    said = votes([A, A, B], judge=A)
    among = agreements(said, "human", "human").with_ties.random
    with_judge = agreements(said, "gpt4-pair", "human").with_ties.random
    assert among is not None
    assert with_judge is not None
    assert among.share.value == pytest.approx(1 / 3)
    assert with_judge.share.value == pytest.approx(2 / 3)
    assert (with_judge.agreed, with_judge.total) == (2, 3)


def test_who_never_agreed_may_yet() -> None:
    said = [vote for at in range(6) for vote in votes([A, A], judge=B, question=at)]
    found = agreements(said, "gpt4-pair", "human").with_ties.random
    assert found is not None
    assert (found.share.value, found.share.lower) == (0, 0)
    assert found.share.upper is not None
    assert 0.3 < found.share.upper < 0.7


def test_ties_count_in_the_first_setup_only() -> None:
    found = agreements([*votes([TIE, A], judge=TIE), *votes([B, B, TIE], judge=B, question=2)], "gpt4-pair", "human")
    assert found.with_ties.random is not None
    assert found.without_ties.random is not None
    assert (found.with_ties.random.agreed, found.with_ties.random.total) == (3, 5)
    assert (found.without_ties.random.agreed, found.without_ties.random.total) == (2, 2)


def test_a_split_majority_is_split() -> None:
    assert majority([A, A, B]) == {A}
    split = agreements(votes([A, B], judge=A), "gpt4-pair", "human").with_ties.majority
    assert split is not None
    assert (split.agreed, split.total) == (0.5, 1)
    found = agreements(votes([A, TIE], judge=A), "gpt4-pair", "human").without_ties.majority
    assert found is not None
    assert (found.agreed, found.total) == (0.5, 0.5)


def test_the_order_of_the_models_does_not_matter() -> None:
    assert opinion(Item(1, 1, "y", "x"), A, "me", "human") == opinion(Item(1, 1, "x", "y"), B, "me", "human")


def test_who_never_met_has_no_agreement() -> None:
    found = agreements([*votes([A]), *votes([], judge=B, question=2)], "gpt4-pair", "human")
    assert found.with_ties.random is None
    assert found.with_ties.majority is None
    assert found.kappa is None
    assert found.alpha is None


def test_kappa_and_alpha_have_their_textbook_values() -> None:
    # Cohen's example of grants: 20 both yes, 15 both no, 5 and 10 apart (chance 1/2).
    assert cohen_kappa(np.array([[[20.0, 5.0], [10.0, 15.0]]])) == pytest.approx(0.4)
    # Krippendorff 2011, "Computing Krippendorff's alpha-reliability", B: two observers, ten binary items.
    one, other = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    counts = np.array([np.bincount(pair, minlength=2) for pair in zip(one, other, strict=True)], dtype=np.float64)
    assert krippendorff_alpha(counts) == pytest.approx(0.095, abs=5e-4)
    assert krippendorff_alpha(np.array([[2.0, 0.0], [0.0, 3.0]])) == 1.0
    assert krippendorff_alpha(np.array([[2.0, 0.0], [3.0, 0.0]])) == 1.0


def crowd() -> list[Opinion]:
    said = {"left": A, "right": B, "tie": TIE}
    return [
        opinion(Item(int(row["prompt"]), 1, row["left"], row["right"]), said[row["winner"]], row["worker"], "human")
        for row in table("llmfao/crowd-comparisons.csv.gz")
    ]


def test_a_crowd_agrees_as_computed_by_others() -> None:
    found = agreements(crowd(), "human", "human")
    assert found.with_ties.random is not None
    assert found.without_ties.random is not None
    assert found.with_ties.random.share.value == pytest.approx(0.532, abs=5e-4)
    assert found.with_ties.random.total == 15112
    assert found.without_ties.random.share.value == pytest.approx(0.701, abs=5e-4)
    assert found.without_ties.random.total == 6755


@pytest.mark.parametrize(
    ("reviewer", "share", "fleiss"),
    [("gpt4", 0.6425, 0.4063), ("claude", 0.606875, 0.3194), ("gpt35", 0.620625, 0.3874)],
)
def test_prd_reviewers_agree_with_people_as_published(reviewer: str, share: float, fleiss: float) -> None:
    """Published are 1600 verdicts, both orders of each pair, against what most people said, a draw being a tie; and
    Fleiss's kappa of first, second and tie, from which alpha is apart by about 1 / (2 * 1600)."""
    people, said, opinions = _prd_majorities(), {"1": A, "2": B, "3": TIE}, []
    for row in table("prd_vicuna80/llm_reviews.csv.gz"):
        if row["reviewer"] == reviewer:
            models = (row["model_a"], row["model_b"])
            order = Item(" ".join([row["question_id"], *models]), 1, "first", "second")
            opinions.append(opinion(order, said[row["score"]], reviewer, f"{reviewer}-pair"))
            opinions.append(opinion(order, people[row["question_id"], *models], "most", "human"))
    found = agreements(opinions, f"{reviewer}-pair", "human")
    assert found.with_ties.random is not None
    assert found.with_ties.majority is not None
    assert (found.with_ties.random.share.value, found.with_ties.random.total) == (share, 1600)
    assert found.with_ties.majority.share.value == share
    assert found.alpha is not None
    assert found.alpha.value == pytest.approx(fleiss, abs=3e-4)


def _prd_majorities() -> dict[tuple[str, str, str], Choice]:
    """Of question and models, in both orders."""
    balance: dict[tuple[str, str, str], int] = defaultdict(int)
    worth = {"model_a": 1, "model_b": -1, "tie": 0}
    for row in table("prd_vicuna80/human_votes.csv.gz"):
        balance[row["question_id"], row["model_a"], row["model_b"]] += worth[row["winner"]]
        balance[row["question_id"], row["model_b"], row["model_a"]] -= worth[row["winner"]]
    return {key: A if value > 0 else B if value < 0 else TIE for key, value in balance.items()}


def test_gwets_example_in_which_kappa_is_below_zero() -> None:
    """Gwet 2002, "Kappa statistic is not satisfactory …": 125 subjects, of whom both say yes of 118."""
    numbers = np.array([[[118.0, 5.0], [2.0, 0.0]]])
    assert cohen_kappa(numbers) == pytest.approx(-0.0234, abs=5e-5)
    assert gwet_ac1(numbers) == pytest.approx(0.9408, abs=5e-5)


def test_krippendorffs_example_of_two_values() -> None:
    """Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section A: ten units, two observers."""
    one, other = "0100000010", "1110010000"
    numbers = np.array([[(a + b).count("0"), (a + b).count("1")] for a, b in zip(one, other, strict=True)], float)
    assert krippendorff_alpha(numbers) == pytest.approx(0.095, abs=5e-4)


def test_questions_that_all_tell_the_same_leave_no_interval() -> None:
    same = [vote for question in range(3) for vote in votes([A, A], question=question)]
    assert agreements(same, "human", "human").alpha == Estimate(1.0)


def test_no_interval_of_a_coefficient_goes_beyond_what_it_can_be() -> None:
    found = agreements([*votes([A, A], question=1), *votes([A, B], question=2)], "human", "human").ac1
    assert found is not None
    assert (found.lower, found.upper) == (-1, 1)
