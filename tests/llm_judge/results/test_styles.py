import numpy as np
import pytest

from fastchat.llm_judge.records import PairVerdict, SingleVerdict
from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.results.styles import pair_style_effects, score_style_effects
from fastchat.ranking.differences import normalised_difference
from tests.llm_judge.results.judgments import pair, score

MODELS = ("a", "b", "c")


def styles(number: int, seed: int = 3) -> dict[tuple[str, int | str, int], dict[str, int]]:
    """Longer answers have more lists, so that one has to be told from the other; no answer has code."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, int | str, int], dict[str, int]] = {}
    for at in range(number):
        for model in MODELS:
            length = int(rng.lognormal(6, 0.6))
            counts = {"headers": rng.poisson(1), "lists": rng.poisson(length / 150), "bold": rng.poisson(1)}
            found[model, at, 1] = {"length": length, **{name: int(value) for name, value in counts.items()}, "code": 0}
    return found


def includes(found: Estimate, value: float) -> bool:
    assert found.lower is not None
    assert found.upper is not None
    return found.lower < value < found.upper


def test_what_a_judge_gives_for_lists_is_not_put_down_to_length() -> None:
    known, rng = styles(300), np.random.default_rng(1)
    rows: list[SingleVerdict] = [
        score(model, int(at), 5 + MODELS.index(model) + 0.5 * np.log2(1 + style["lists"]) + rng.normal())
        for (model, at, _), style in known.items()
    ]
    found = score_style_effects(rows, known)
    assert set(found) == {"length", "headers", "lists", "bold"}  # there is no code anywhere
    assert includes(found["lists"], 0.5)
    assert includes(found["length"], 0)
    assert found["lists"].error is not None
    assert found["lists"].error < 0.1


def test_pairs_likewise() -> None:
    known, rng = styles(900), np.random.default_rng(2)
    games = [(m, o, at) for at in range(900) for m, o in (("a", "b"), ("b", "c"))]
    sides = np.array([[known[m, at, 1]["lists"], known[o, at, 1]["lists"]] for m, o, at in games], dtype=np.float64)
    more = normalised_difference(sides[:, 0], sides[:, 1])
    rows: list[PairVerdict] = []
    for (m, o, at), lists in zip(games, more, strict=True):
        first = "model_1" if rng.random() < 1 / (1 + np.exp(-0.6 * lists)) else "model_2"
        second = "model_1" if rng.random() < 1 / (1 + np.exp(-0.6 * lists)) else "model_2"
        rows.append(pair(m, o, at, (first, second)))
    found = pair_style_effects(rows, known)
    assert set(found) == {"length", "headers", "lists", "bold"}
    assert includes(found["lists"], 0.6)
    assert includes(found["length"], 0)


def test_what_always_goes_together_is_one_effect() -> None:
    known = {key: {**style, "bold": style["lists"]} for key, style in styles(50).items()}
    rows = [score(model, int(at), float(at) % 7 + 1) for model, at, _ in known]
    assert "bold" not in score_style_effects(rows, known)


@pytest.mark.parametrize("known", [{}, {("z", 1, 1): {"length": 5}}])
def test_without_answers_there_are_none(known: dict[tuple[str, int | str, int], dict[str, int]]) -> None:
    assert score_style_effects([score("a", 1, 5)], known) == {}
    assert pair_style_effects([pair("a", "b", 1, ("tie", "tie"))], known) == {}
