"""Benchmarks of fixed questions, as they stand in a folder."""

from dataclasses import dataclass
from pathlib import Path

from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.static.records import FOLDER, Score, StaticResult, read_result

_HALF = 1.96  # lm-eval gives errors without degrees of freedom
_PLAIN = "none"  # lm-eval's filter that leaves an answer as it is


@dataclass(frozen=True, slots=True)
class StaticScore:
    """One number of one task."""

    model: str
    task: str
    version: str
    metric: str
    score: Estimate | None  # None: there is no number
    higher_is_better: bool | None
    fewshot: int | None
    questions: int | None
    limit: int | None
    by: str


def static_scores(folder: Path) -> tuple[StaticScore, ...]:
    """
    Raises:
        SetupError: a file in DIR/static is no result of a benchmark.
    """
    results = [read_result(file) for file in sorted((folder / FOLDER).glob("*.json"))]
    return tuple(_told(result, score) for result in results for score in result.scores)


def _told(result: StaticResult, score: Score) -> StaticScore:
    facts = result.tasks[score.task]
    return StaticScore(
        result.model,
        score.task,
        facts.version,
        score.metric if score.answers == _PLAIN else f"{score.metric} ({score.answers})",
        _estimate(score),
        score.higher_is_better,
        facts.fewshot,
        facts.questions,
        result.limit,
        f"lm-eval {result.lm_eval_version}",
    )


def _estimate(score: Score) -> Estimate | None:
    if score.value is None:
        return None
    if not score.error:  # 0: all questions went alike, which tells nothing of how others would go
        return Estimate(score.value)
    half = _HALF * score.error
    return Estimate(score.value, score.error, score.value - half, score.value + half)
