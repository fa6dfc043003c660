"""Win rates of models by a judge, put right by votes of people on some of the same answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from fastchat.llm_judge.results.calibration import Labels, RoganGladen, prediction_powered, rogan_gladen
from fastchat.llm_judge.results.estimates import Estimate, share
from fastchat.llm_judge.results.opinions import AUTHOR, HUMAN, Choice, Item, Opinion, by_item

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Of one model against all others that it was judged with. None: too few votes, or a judge that knows nothing."""

    model: str
    items: int
    items_of_people: int
    judge: Estimate  # a tie is half a win
    people: Estimate  # by their votes alone
    prediction_powered: Estimate | None
    judge_wins: Estimate  # a tie is no win
    rogan_gladen: RoganGladen | None  # of wins


def calibrated(verdicts: Iterable[Opinion], votes: Iterable[Opinion]) -> tuple[Calibrated, ...]:
    """Of the models that people voted on. Of several votes on the same answers the mean counts, and for what is yes or
    no, whether more than half of them say that the model won."""
    said = by_item(vote for vote in votes if vote.kind in (HUMAN, AUTHOR))
    judged = {verdict.item: verdict.choice for verdict in verdicts}
    models = sorted({model for item in judged if item in said for model in (item.model_a, item.model_b)})
    return tuple(_of_model(model, judged, said) for model in models)


def _of_model(model: str, judged: Mapping[Item, Choice], said: Mapping[Item, Sequence[Opinion]]) -> Calibrated:
    items = [item for item in judged if model in (item.model_a, item.model_b)]
    questions = [item.question_id for item in items]
    judge = [_worth(item, judged[item], model) for item in items]
    votes = [[_worth(item, vote.choice, model) for vote in said.get(item, ())] for item in items]
    rates = Labels.of(judge, [float(np.mean(worths)) if worths else None for worths in votes], questions)
    wins = Labels.of(
        [float(worth == 1) for worth in judge],
        [float(2 * worths.count(1.0) > len(worths)) if worths else None for worths in votes],
        questions,
    )
    asked = rates.is_labelled
    return Calibrated(
        model,
        items=len(items),
        items_of_people=int(asked.sum()),
        judge=share(rates.judge, rates.questions),
        people=share(rates.people[asked], rates.questions[asked]),
        prediction_powered=_if_possible(prediction_powered, rates),
        judge_wins=share(wins.judge, wins.questions),
        rogan_gladen=_if_possible(rogan_gladen, wins),
    )


def _worth(item: Item, choice: Choice, model: str) -> float:
    if choice is Choice.TIE:
        return 0.5
    return float((choice is Choice.A) == (model == item.model_a))


def _if_possible(estimate: Callable[[Labels], T], labels: Labels) -> T | None:
    try:
        return estimate(labels)
    except ValueError:
        return None
