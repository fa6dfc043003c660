"""A report as tables of texts. Every number comes with its interval where it has one and there is room for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastchat.llm_judge.results.agreement import Agreement, Agreements
from fastchat.llm_judge.results.calibrated import Calibrated
from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.results.pairwise import PairBoard, Rating
from fastchat.llm_judge.results.report import JudgeReport, Report
from fastchat.llm_judge.results.scores import ScoreBoard

_SHOWN = 45  # differences: all pairs of ten models


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]  # the first is of names, the others of numbers
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(report: Report) -> Iterator[Table]:
    for judge in report.judges:
        if judge.scores:
            yield from _of_scores(judge, judge.scores)
        if judge.pairs:
            yield from _of_pairs(judge, judge.pairs)
        if judge.calibrated:
            yield _of_calibrated(judge)
        if judge.failures:
            rows = tuple((reason, str(number)) for reason, number in judge.failures.items())
            yield Table(f"Verdicts of {judge.judge} that could not be had", ("reason", "number"), rows)
    if report.agreements:
        yield agreement_table(report.agreements)


def _of_scores(judge: JudgeReport, board: ScoreBoard) -> Iterator[Table]:
    turns = sorted({turn for row in board.models for turn in row.turns})
    names = sorted({name for row in board.models for name in row.categories})
    failed = sum(row.failed for row in board.models)
    notes = [
        f"{board.questions} questions; intervals of 95 % that allow for what turns of a question share. "
        "Ranks are those left open for all models at once."
    ]
    if board.detectable is not None:
        notes.append(f"Two models that truly differ by {board.detectable:.2f} are told apart in 80 of 100 such runs.")
    if failed:
        notes.append(f"{failed} verdicts have the score -1, FastChat's word for a failure, and do not count.")
    if judge.length_effect:
        effect = judge.length_effect
        notes.append(
            f"Twice the length adds {number_text(effect.points)} points, on the same question and of one model."
        )
    yield Table(
        f"Scores by {judge.judge}",
        ("model", "score", "rank", *(f"turn {turn}" for turn in turns), "verdicts"),
        tuple(
            (
                row.model,
                number_text(row.score),
                _ranks(row.best_rank, row.worst_rank),
                *(_plain(row.turns.get(turn)) for turn in turns),
                str(row.verdicts),
            )
            for row in board.models
        ),
        tuple(notes),
    )
    if names:
        rows = tuple((row.model, *(_plain(row.categories.get(name)) for name in names)) for row in board.models)
        yield Table(f"Scores by {judge.judge} and category", ("model", *names), rows)
    if board.differences:
        yield _of_differences(judge, board)


def _of_differences(judge: JudgeReport, board: ScoreBoard) -> Table:
    rows = tuple(
        (
            f"{pair.model} - {pair.other}",
            number_text(pair.difference),
            "" if pair.lower is None or pair.upper is None else f"{pair.lower:.2f} … {pair.upper:.2f}",
            "yes" if pair.separated else "no",
            "" if pair.detectable is None else f"{pair.detectable:.2f}",
        )
        for pair in board.differences[:_SHOWN]
    )
    more = len(board.differences) - len(rows)
    columns = ("difference", "by itself", "all pairs at once", "sure", "detectable")
    notes = (f"{more} more pairs are in the JSON.",) if more else ()
    return Table(f"Differences by {judge.judge}, on the same questions", columns, rows, notes)


def _of_pairs(judge: JudgeReport, board: PairBoard) -> Iterator[Table]:
    place, effects = board.position, []
    if board.failed:
        effects.append(
            f"{board.failed} pairs have an error as winner, FastChat's word for a failure, and do not count."
        )
    effects.append(
        f"Of {place.pairs} pairs asked in both orders {_percent(place.consistent)} have the same verdict, "
        f"{_percent(place.first)} go to whoever is first both times, {_percent(place.second)} to whoever is second."
    )
    if board.order_effect:
        effects.append(f"Standing first adds {number_text(board.order_effect)} to the log-odds of winning.")
    if board.length_effect:
        effects.append(f"One standard deviation more of relative length adds {number_text(board.length_effect)}.")
    yield Table(
        f"Wins by {judge.judge}",
        ("model", "win", "loss", "tie", "win_rate", "loss_rate", "win_rate_adjusted"),
        tuple(
            (
                row.model,
                *map(str, (row.win, row.loss, row.tie)),
                f"{row.win_rate:.3f}",
                f"{row.loss_rate:.3f}",
                number_text(row.win_rate_adjusted, 3),
            )
            for row in board.wins
        ),
        ("A model wins if it does so in both orders; all else is a tie.", *effects),
    )
    yield _of_ratings(f"Ratings by {judge.judge} (Bradley-Terry)", board.ratings, board.notes)
    if board.ratings_at_equal_length:
        yield _of_ratings(f"Ratings by {judge.judge} at equal length", board.ratings_at_equal_length, ())


def _of_ratings(title: str, ratings: Sequence[Rating], notes: tuple[str, ...]) -> Table:
    rows = tuple(
        (
            row.model,
            f"{row.rating:.0f}",
            f"{'-∞' if row.lower is None else f'{row.lower:.0f}'} … {'∞' if row.upper is None else f'{row.upper:.0f}'}",
            _ranks(row.best_rank, row.worst_rank),
        )
        for row in ratings
    )
    return Table(title, ("model", "rating", "interval", "rank"), rows, notes)


def _of_calibrated(judge: JudgeReport) -> Table:
    return Table(
        f"Win rates by {judge.judge}, put right by people",
        ("model", "items", "people", "judge", "people alone", "judge and people", "wins", "wins put right"),
        tuple(map(_calibrated, judge.calibrated)),
        (
            "Judge and people: prediction-powered, a tie is half a win. Wins put right: Rogan and Gladen, a tie is no "
            "win; wide or empty where the judge hardly tells a win of this model from the rest. Both take it that the "
            "answers which people saw were drawn at random.",
        ),
    )


def _calibrated(row: Calibrated) -> tuple[str, ...]:
    return (
        row.model,
        str(row.items),
        str(row.items_of_people),
        number_text(row.judge, 3),
        number_text(row.people, 3),
        number_text(row.prediction_powered, 3),
        number_text(row.judge_wins, 3),
        number_text(row.rogan_gladen.rate, 3) if row.rogan_gladen else "",
    )


def agreement_table(found: Sequence[Agreements]) -> Table:
    rows = tuple(
        (
            " / ".join(each.kinds),
            _agreement(each.with_ties.random),
            _agreement(each.without_ties.random),
            _agreement(each.with_ties.majority),
            _agreement(each.without_ties.majority),
            number_text(each.kappa),
            number_text(each.alpha),
        )
        for each in found
    )
    columns = ("judges", "S1", "S2", "majority S1", "majority S2", "kappa", "alpha")
    note = "S1: all votes, S2: without ties. Majority: the first against most of the second."
    return Table("Agreement", columns, rows, (note,))


def _agreement(found: Agreement | None) -> str:
    return "" if found is None else f"{_percent(found.share)} ({found.total:.0f})"


def number_text(found: Estimate | None, digits: int = 2) -> str:
    if found is None:
        return ""
    if found.lower is None or found.upper is None:
        return f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f} ({found.lower:.{digits}f} … {found.upper:.{digits}f})"


def _plain(found: Estimate | None) -> str:
    return "" if found is None else f"{found.value:.2f}"


def _percent(share: Estimate) -> str:
    if share.lower is None or share.upper is None:
        return f"{100 * share.value:.0f} %"
    return f"{100 * share.value:.0f} % ({100 * share.lower:.0f} … {100 * share.upper:.0f})"


def _ranks(best: int, worst: int) -> str:
    return str(best) if best == worst else f"{best}-{worst}"
