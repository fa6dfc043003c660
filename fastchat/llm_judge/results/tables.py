"""A report as tables of texts. Every number comes with its interval where it has one and there is room for it."""

from collections.abc import Iterator, Sequence

from fastchat.llm_judge.results.agreement import Agreement, Agreements
from fastchat.llm_judge.results.battles import Battles
from fastchat.llm_judge.results.checked import Checked
from fastchat.llm_judge.results.reading import STYLES
from fastchat.llm_judge.results.report import JudgeReport, Report
from fastchat.llm_judge.results.static import StaticScore
from fastchat.llm_judge.results.table import Table, number_text, percent_text
from fastchat.llm_judge.results.verdict_tables import list_tables, pair_tables, score_tables


def tables(report: Report) -> Iterator[Table]:
    if report.checked:
        yield _of_checked(report.checked)
    if report.static:
        yield _of_static(report.static)
    for judge in report.judges:
        if judge.scores:
            yield from score_tables(judge, judge.scores)
        if judge.pairs:
            yield from pair_tables(judge, judge.pairs)
        for board in judge.lists:
            yield from list_tables(judge, board)
        if judge.kin:
            yield _of_kin(judge)
        if len(judge.score_style_effects) > 1 or len(judge.pair_style_effects) > 1:
            yield _of_styles(judge)
        if judge.calibrated:
            yield from _of_calibrated(judge)
        if judge.failures:
            yield _of_failures(judge)
    if report.blanks:
        yield _of_blanks(report)
    if report.agreements:
        yield from agreement_tables(report.agreements)
    if report.battles:
        yield _of_battles(report.battles)


def _of_checked(found: Sequence[Checked]) -> Table:
    names = sorted({name for row in found for name in row.categories})
    shown = names if len(names) > 1 else []  # one category is all
    rows = tuple(
        (
            row.model,
            number_text(row.passed, 3),
            *(number_text(row.categories.get(name), 3) for name in shown),
            str(row.questions),
        )
        for row in found
    )
    note = "Shares of questions whose answer did what was asked when it was run; intervals of 95 % (Wilson)."
    return Table("Answers that were run: pass@1", ("model", "passed", *shown, "questions"), rows, (note,))


def _of_static(found: Sequence[StaticScore]) -> Table:
    notes = [f"By {', '.join(sorted({row.by for row in found}))}; intervals of 95 %."]
    if any(row.higher_is_better is False for row in found):
        notes.append("↓: the lower, the better.")
    if any(row.limit is not None for row in found):
        notes.append("Of the first questions only (--limit): numbers to try a task with, not to publish.")
    rows = tuple(
        (
            row.model,
            row.task,
            row.version,
            f"{row.metric} ↓" if row.higher_is_better is False else row.metric,
            number_text(row.score, 3),
            "" if row.fewshot is None else str(row.fewshot),
            "" if row.questions is None else str(row.questions),
        )
        for row in found
    )
    columns = ("model", "task", "version", "metric", "value", "examples", "questions")
    return Table("Benchmarks", columns, rows, tuple(notes))


def _of_kin(judge: JudgeReport) -> Table:
    return Table(
        f"Kin of {judge.judge}",
        ("model", "shares with the judge"),
        tuple((row.model, row.shared) for row in judge.kin),
        (
            "By their names. Judges may like what is written as they would write it, so these models may stand too "
            "high: have a judge of another family, and people.",
        ),
    )


def _of_blanks(report: Report) -> Table:
    return Table(
        "Answers that are empty or could not be had",
        ("model", "empty", "not had"),
        tuple((row.model, str(row.empty), str(row.failed)) for row in report.blanks),
        (
            "Empty: turns without a word; they are judged as they are. Not had: questions that a model could not be "
            "asked, $ERROR$ in FastChat's files; they are not judged, and no mean knows of them.",
        ),
    )


def _of_failures(judge: JudgeReport) -> Table:
    whose = ", ".join(f"{model} {number}" for model, number in judge.failures_of_models.items())
    return Table(
        f"Verdicts of {judge.judge} that could not be had",
        ("reason", "number"),
        tuple((reason, str(number)) for reason, number in judge.failures.items()),
        (
            f"On answers of: {whose}. No number knows of them, so whoever has more of them than others is judged by "
            "what is left.",
        ),
    )


def _of_styles(judge: JudgeReport) -> Table:
    """Length alone stands with the scores and the wins."""
    scores, pairs = judge.score_style_effects, judge.pair_style_effects
    columns = [
        *([("points of score", scores)] if scores else []),
        *([("log-odds of winning", pairs)] if pairs else []),
    ]
    names = [name for name in STYLES if name in scores or name in pairs]
    return Table(
        f"What style does to verdicts of {judge.judge}",
        ("of answers", *(title for title, _ in columns)),
        tuple((name, *(number_text(effects.get(name)) for _, effects in columns)) for name in names),
        (
            "Each with the others allowed for. Points: by twice as much, of one model on one question. Log-odds: by a "
            "standard deviation more than the other answer. No proof of a bias: style may go with what is good.",
        ),
    )


def _of_calibrated(judge: JudgeReport) -> Iterator[Table]:
    yield Table(
        f"Win rates by {judge.judge}, put right by people",
        ("model", "items", "people", "judge", "people alone", "judge and people"),
        tuple(
            (
                row.model,
                str(row.items),
                str(row.items_of_people),
                number_text(row.judge, 3),
                number_text(row.people, 3),
                number_text(row.prediction_powered, 3),
            )
            for row in judge.calibrated
        ),
        (
            "A tie is half a win. Judge and people: prediction-powered. It takes it that the answers which people saw "
            "were drawn at random.",
        ),
    )
    yield Table(
        f"Wins by {judge.judge}, put right by people",
        ("model", "judge", "put right"),
        tuple(
            (
                row.model,
                number_text(row.judge_wins, 3),
                number_text(row.rogan_gladen.rate, 3) if row.rogan_gladen else "",
            )
            for row in judge.calibrated
        ),
        (
            "A tie is no win. Rogan and Gladen, likewise of answers drawn at random; wide or empty where the judge "
            "hardly tells a win of this model from the rest.",
        ),
    )


def _of_battles(found: Battles) -> Table:
    rows = (("read", f"{found.read:,}"), ("matched", f"{found.matched:,}"), ("counted", f"{found.votes:,}"))
    notes = (
        "Matched: all that was asked is a question of this folder, and both models are judged here. The answers that "
        "people saw are not those that the judge saw: the same models wrote them for the arena.",
    )
    return Table("Votes of the arena", ("battles", "number"), rows, notes)


def agreement_tables(found: Sequence[Agreements]) -> Iterator[Table]:
    yield Table(
        "Agreement",
        ("judges", "S1", "S2", "majority S1", "majority S2"),
        tuple(
            (
                " / ".join(each.kinds),
                _agreement(each.with_ties.random),
                _agreement(each.without_ties.random),
                _agreement(each.with_ties.majority),
                _agreement(each.without_ties.majority),
            )
            for each in found
        ),
        ("S1: all votes, S2: without ties. Majority: the first against most of the second.",),
    )
    yield Table(
        "Agreement beyond chance",
        ("judges", "kappa", "alpha", "AC1"),
        tuple(
            (" / ".join(each.kinds), number_text(each.kappa), number_text(each.alpha), number_text(each.ac1))
            for each in found
        ),
        ("Cohen's kappa, Krippendorff's alpha, Gwet's AC1. 0 is what chance gives, 1 is always.",),
    )


def _agreement(found: Agreement | None) -> str:
    return "" if found is None else f"{percent_text(found.share)} ({found.total:.0f})"
