import numpy as np
import pytest

from fastchat.llm_judge.results.calibrated import calibrated
from fastchat.llm_judge.results.calibration import Labels, prediction_powered, rogan_gladen
from fastchat.llm_judge.results.opinions import of_pairs
from tests.llm_judge.results.judgments import prd_pairs, prd_people

TRUTH, SENSITIVITY, SPECIFICITY = 0.4, 0.85, 0.7


def drawn(rng: np.random.Generator, items: int, of_people: int, alike: bool = False) -> Labels:
    """A judge who finds 85 of 100 wins and calls 30 of 100 losses wins. `alike`: questions of five items each differ in
    how often there is a win."""
    questions = np.repeat(np.arange(items // 5), 5) if alike else np.arange(items)
    chance = rng.beta(2, 3, items)[questions] if alike else TRUTH
    truth = rng.random(items) < chance
    judge = np.where(truth, rng.random(items) < SENSITIVITY, rng.random(items) > SPECIFICITY).astype(float)
    people = [float(value) if at < of_people else None for at, value in enumerate(truth)]
    return Labels.of(judge.tolist(), people, questions.tolist())


def test_rogan_gladen_is_the_formula() -> None:
    judge = [1, 1, 1, 0, 1, 0, 0, 0, *[1] * 6, *[0] * 4]
    people = [1, 1, 1, 1, 0, 0, 0, 0, *[None] * 10]
    found = rogan_gladen(Labels.of(judge, people))
    assert (found.sensitivity, found.specificity) == (0.75, 0.75)
    rate = (0.6 + 0.75 - 1) / (0.75 + 0.75 - 1)
    assert found.rate.value == pytest.approx(rate)
    parts = 0.6 * 0.4 / 10 + (rate**2 + (1 - rate) ** 2) * 0.75 * 0.25 / 4
    assert found.rate.error == pytest.approx(np.sqrt(parts * 18 / 17) / 0.5)


def test_prediction_powered_is_the_judges_mean_less_its_error() -> None:
    rng = np.random.default_rng(0)
    judge = rng.normal(5, 2, 2000)
    people = judge - 1 + rng.normal(0, 0.1, 2000)
    found = prediction_powered(
        Labels.of(judge.tolist(), [float(p) if at < 50 else None for at, p in enumerate(people)])
    )
    assert found.value == pytest.approx(people.mean(), abs=0.1)
    assert found.error is not None
    assert found.error < 0.1 < np.std(people[:50]) / np.sqrt(50)


def test_a_useless_judge_does_no_harm() -> None:
    rng = np.random.default_rng(3)
    people = rng.random(200)
    judge = rng.random(5000)
    found = prediction_powered(Labels.of(judge.tolist(), [float(p) for p in people] + [None] * 4800))
    assert found.error == pytest.approx(people.std(ddof=1) / np.sqrt(200), rel=0.03)


@pytest.mark.parametrize(("of_people", "alike"), [(60, False), (300, False), (300, True)])
def test_intervals_cover(of_people: int, alike: bool) -> None:
    rng = np.random.default_rng(4)
    runs, powered, corrected, naive = 600, 0, 0, 0
    for _ in range(runs):
        labels = drawn(rng, 1500, of_people, alike)
        one, other = prediction_powered(labels), rogan_gladen(labels).rate
        assert one.lower is not None
        assert one.upper is not None
        assert other.lower is not None
        assert other.upper is not None
        powered += one.lower <= TRUTH <= one.upper
        corrected += other.lower <= TRUTH <= other.upper
        naive += abs(labels.judge.mean() - TRUTH) < 1.96 * labels.judge.std() / np.sqrt(1500)
    assert powered / runs == pytest.approx(0.95, abs=0.03)
    assert corrected / runs == pytest.approx(0.95, abs=0.03)
    assert naive / runs < 0.05


def test_people_make_the_interval_narrower_than_they_do_alone() -> None:
    labels = drawn(np.random.default_rng(5), 3000, 150)
    alone = np.std(labels.people[:150], ddof=1) / np.sqrt(150)
    found = prediction_powered(labels).error
    assert found is not None
    assert found < 0.9 * alone


@pytest.mark.parametrize(
    ("judge", "people", "why"),
    [
        ([1, 0.5], [1, 0], "yes and no only"),
        ([1, 0], [1, None], "yes to some"),
        ([0, 1, 1], [1, 0, None], "no more often"),
    ],
)
def test_what_cannot_be_put_right_is_refused(judge: list[float], people: list[float | None], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rogan_gladen(Labels.of(judge, people))


def test_one_vote_is_too_few() -> None:
    with pytest.raises(ValueError, match="people judged 1 of the items"):
        prediction_powered(Labels.of([1, 0], [1, None]))


def test_prd_people_on_some_questions_put_gpt_4_right() -> None:
    """The truth is what all people said; a quarter of the questions is given."""
    verdicts, votes = list(of_pairs(prd_pairs("gpt4"))), prd_people()
    rng = np.random.default_rng(6)
    given = {int(question) for question in rng.choice(np.arange(1, 81), 20, replace=False)}
    some = calibrated(verdicts, [vote for vote in votes if vote.item.question_id in given])
    everything = {row.model: row.people.value for row in calibrated(verdicts, votes)}
    assert {row.model for row in some} == {"bard", "claude", "gpt35", "gpt4", "vicuna-13b"}
    for row in some:
        found = row.prediction_powered
        assert (row.items, row.items_of_people) == (320, 80)
        assert found is not None
        assert found.error is not None
        assert row.people.error is not None
        assert found.error < row.people.error
        assert abs(found.value - everything[row.model]) < 3 * found.error
