"""What a judge's grades of the anchors say: whether it grades as it did, and whether they are grades one can defend."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from fastchat.core.errors import SetupError
from fastchat.llm_judge.anchors import Anchor, Grade, Graded
from fastchat.llm_judge.results.estimates import Estimate, coded, mean
from fastchat.llm_judge.results.table import Table, number_text

_FEWEST = 6  # grades in common: of fewer, nothing can be said


@dataclass(frozen=True, slots=True)
class Change:
    question_id: int | str
    band: tuple[float, float]
    before: float | None  # None: not graded
    now: float | None


@dataclass(frozen=True, slots=True)
class Drift:
    """How a judge grades the anchors. `shift` is the mean change, by a paired t-test; None: nothing to compare with."""

    judge: str
    changes: tuple[Change, ...]
    out_of_band: int
    failures: Mapping[str, int]
    judge_before: str | None = None  # None: nobody
    shift: Estimate | None = None
    mean_change: float | None = None  # without its sign
    changed: int | None = None  # grades that are not the same

    @property
    def has_drifted(self) -> bool:
        """With 95 % confidence."""
        if self.shift is None or self.shift.lower is None or self.shift.upper is None:
            return False
        return self.shift.lower > 0 or self.shift.upper < 0

    def json(self) -> str:
        return json.dumps(asdict(self) | {"has_drifted": self.has_drifted}, allow_nan=False, indent=2)


def drift(judge: str, anchors: Sequence[Anchor], graded: Graded, before: Sequence[Grade] | None) -> Drift:
    """
    Raises:
        SetupError: the judge was told something else before, or there is too little to compare.
    """
    new = {grade.question_id: grade for grade in graded.grades}
    old = {grade.question_id: grade for grade in before or ()}
    changes = tuple(
        Change(
            each.question_id,
            each.band,
            old[each.question_id].score if each.question_id in old else None,
            new[each.question_id].score if each.question_id in new else None,
        )
        for each in anchors
    )
    outside = sum(each.now is not None and not each.band[0] <= each.now <= each.band[1] for each in changes)
    if before is None:
        return Drift(judge, changes, outside, graded.failures)
    if other := [str(name) for name in new.keys() & old.keys() if new[name].asked != old[name].asked]:
        raise SetupError(
            f"{len(other)} anchors were put to the judge in other words when these grades were recorded: other "
            "prompts, another form of verdicts (--verdicts), fences, or anchors of another version. A difference would "
            "not be the judge's. Ask as before, or record anew with --record FILE."
        )
    apart = [each.now - each.before for each in changes if each.now is not None and each.before is not None]
    if len(apart) < _FEWEST:
        raise SetupError(f"Only {len(apart)} anchors have a grade both times; a comparison takes {_FEWEST}.")
    return Drift(
        judge,
        changes,
        outside,
        graded.failures,
        judge_before=", ".join(sorted({grade.judge[0] for grade in before})),
        shift=mean(apart, coded(range(len(apart)))),
        mean_change=sum(map(abs, apart)) / len(apart),
        changed=sum(change != 0 for change in apart),
    )


def drift_tables(found: Drift) -> Iterator[Table]:
    has_before = found.shift is not None
    yield Table(
        f"Anchors by {found.judge}",
        ("anchor", "defensible", *(("before", "now", "change") if has_before else ("now",))),
        tuple(_row(each, has_before) for each in found.changes),
        tuple(_notes(found)),
    )
    if found.failures:
        rows = tuple((reason, str(number)) for reason, number in found.failures.items())
        yield Table(f"Grades of {found.judge} that could not be had", ("reason", "number"), rows)


def _row(each: Change, has_before: bool) -> tuple[str, ...]:
    low, high = each.band
    told = str(each.question_id), f"{low:g}-{high:g}"
    if not has_before:
        return *told, _number(each.now)
    change = "" if each.now is None or each.before is None else f"{each.now - each.before:+g}"
    return *told, _number(each.before), _number(each.now), change


def _number(grade: float | None) -> str:
    return "" if grade is None else f"{grade:g}"


def _notes(found: Drift) -> Iterator[str]:
    graded = sum(each.now is not None for each in found.changes)
    yield f"{found.out_of_band} of {graded} grades are outside what we think defensible."
    if found.shift is None:
        return
    if found.judge_before != found.judge:
        yield f"The grades of before are by {found.judge_before}: a change is the difference of two judges."
    yield (
        f"Mean change {number_text(found.shift)}; {found.changed} grades are not the same, the mean of all changes "
        f"without their sign is {found.mean_change:.2f}."
    )
    yield (
        "The judge has drifted: scores of before and now do not compare."
        if found.has_drifted
        else "No drift is seen. One within the interval would not be."
    )
