"""A judge's rate put right by people: few votes of people and many verdicts give the rate that people would give.

`prediction_powered`: the mean verdict, less the judge's mean error where people judged too (Angelopoulos et al. 2023,
arXiv 2301.09633; with the weight of 2311.01453, a useless judge does no harm). `rogan_gladen`: a yes-or-no rate from
how often the judge says yes where people say yes and where they say no (Rogan and Gladen 1978; for judges Lee et al.
2025, arXiv 2511.21140). Both hold only if those items were chosen for people at random, or as if.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastchat.llm_judge.matches import QuestionId
from fastchat.llm_judge.results.estimates import Estimate, coded, estimated, summed
from fastchat.ranking.comparisons import Codes, Floats, Mask


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What the judge said of every item, and what people said of some; both from 0 to 1."""

    judge: Floats  # (items,)
    people: Floats  # (items,), NaN where nobody was asked
    questions: Codes  # (items,)

    @classmethod
    def of(
        cls, judge: Sequence[float], people: Sequence[float | None], questions: Sequence[QuestionId] | None = None
    ) -> "Labels":
        """Without questions, each item is one of its own."""
        said = [np.nan if value is None else value for value in people]
        asked = range(len(judge)) if questions is None else questions
        return cls(np.asarray(judge, np.float64), np.asarray(said, np.float64), coded(asked))

    @property
    def is_labelled(self) -> Mask:
        result: Mask = ~np.isnan(self.people)
        return result


def prediction_powered(labels: Labels) -> Estimate:
    """
    Raises:
        ValueError: people judged fewer than two of the items.
    """
    labelled = labels.is_labelled
    number, others = int(labelled.sum()), int((~labelled).sum())
    if number < 2:
        raise ValueError(f"people judged {number} of the items; two are needed at least")
    people = labels.people[labelled]
    by_people, of_judge = np.zeros(len(labelled)), np.zeros(len(labelled))  # how each item pulls
    by_people[labelled] = (people - people.mean()) / number
    if others == 0:
        return estimated(float(people.mean()), by_people, labels.questions)
    judged, rest = labels.judge[labelled], labels.judge[~labelled]
    of_judge[labelled] = (judged - judged.mean()) / number
    of_judge[~labelled] = -(rest - rest.mean()) / others
    weight = _weight(summed(by_people, labels.questions), summed(of_judge, labels.questions))
    value = weight * float(rest.mean()) + float((people - weight * judged).mean())
    return estimated(value, by_people - weight * of_judge, labels.questions)


def _weight(by_people: Floats, of_judge: Floats) -> float:
    """Of the verdicts, such that the variance over questions is least: about 0 if the judge knows nothing."""
    square = float(of_judge @ of_judge)
    return float(by_people @ of_judge) / square if square > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RoganGladen:
    rate: Estimate
    sensitivity: float  # how often the judge says yes where people do
    specificity: float  # and no where people do


def rogan_gladen(labels: Labels) -> RoganGladen:
    """Of what is 0 or 1 for the judge and for people. The rate is held within 0 and 1, and so is its interval.

    Raises:
        ValueError: a value is neither 0 nor 1; people never said yes, or never no; the judge says yes no more often
            where people do than where they do not, so that nothing can be put right.
    """
    labelled = labels.is_labelled
    judge, people = labels.judge, labels.people
    if not np.isin(np.concatenate([judge, people[labelled]]), (0.0, 1.0)).all():
        raise ValueError("Rogan and Gladen's estimate takes yes and no only: 1 and 0")
    yes, no = labelled & (people == 1), labelled & (people == 0)
    if not yes.any() or not no.any():
        raise ValueError("people have to say yes to some of the items and no to others")
    sensitivity, specificity = float(judge[yes].mean()), float(1 - judge[no].mean())
    youden = sensitivity + specificity - 1
    if youden <= 0:
        raise ValueError("the judge says yes no more often where people do than where they do not")
    # Items that people judged are left out of the judge's own rate: they are not drawn apart from the two above.
    rest = ~labelled if (~labelled).any() else labelled
    seen = float(judge[rest].mean())
    rate = (seen + specificity - 1) / youden
    pulls = np.where(rest, (judge - seen) / rest.sum(), 0.0)
    pulls -= np.where(yes, rate * (judge - sensitivity) / yes.sum(), 0.0)
    pulls -= np.where(no, (1 - rate) * (judge - (1 - specificity)) / no.sum(), 0.0)
    return RoganGladen(_within(estimated(rate, pulls / youden, labels.questions)), sensitivity, specificity)


def _within(found: Estimate) -> Estimate:
    def held(value: float | None) -> float | None:
        return None if value is None else min(max(value, 0.0), 1.0)

    return Estimate(min(max(found.value, 0.0), 1.0), found.error, held(found.lower), held(found.upper))
