"""A report as tables of texts. Every number comes with its interval where it has one and there is room for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastchat.llm_judge.results.agreement import Agreement, Agreements
from fastchat.llm_judge.results.battles import Battles
from fastchat.llm_judge.results.checked import Checked
from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.results.lists import ListBoard
from fastchat.llm_judge.results.pairwise import PairBoard, Rating
from fastchat.llm_judge.results.reading import STYLES
from fastchat.llm_judge.results.report import JudgeReport, Report
from fastchat.llm_judge.results.scores import ScoreBoard
from fastchat.llm_judge.results.static import StaticScore

_SHOWN = 45  # differences: all pairs of ten models


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]  # the first is of names, the others of numbers
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(report: Report) -> Iterator[Table]:
    if report.checked:
        yield _of_checked(report.checked)
    if report.static:
        yield _of_static(report.static)
    for judge in report.judges:
        if judge.scores:
            yield from _of_scores(judge, judge.scores)
        if judge.pairs:
            yield from _of_pairs(judge, judge.pairs)
        for board in judge.lists:
            yield from _of_list(judge, board)
        if judge.kin:
            yield _of_kin(judge)
        if len(judge.score_style_effects) > 1 or len(judge.pair_style_effects) > 1:
            yield _of_styles(judge)
        if judge.calibrated:
            yield from _of_calibrated(judge)
        if judge.failures:
            rows = tuple((reason, str(number)) for reason, number in judge.failures.items())
            yield Table(f"Verdicts of {judge.judge} that could not be had", ("reason", "number"), rows)
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


def _of_scores(judge: JudgeReport, board: ScoreBoard) -> Iterator[Table]:
    turns = sorted({turn for row in board.models for turn in row.turns})
    names = sorted({name for row in board.models for name in row.categories})
    failed = sum(row.failed for row in board.models)
    notes = [
        f"{board.questions} questions; intervals of 95 % that allow for what turns of a question share. "
        "Ranks are those left open for all models at once."
        if board.questions > 1
        else "One question, which tells nothing of how questions differ: there are no intervals."
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
    if judge.turned_pairs:
        number = "1 pair is" if judge.turned_pairs == 1 else f"{judge.turned_pairs} pairs are"
        effects.append(f"{number} in the file twice, once with each model first; the last counts.")
    if place:
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
        (
            "A model wins if it does so in both orders; all else is a tie." if place else "Each pair was seen once.",
            *effects,
        ),
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


def _of_list(judge: JudgeReport, board: ListBoard) -> Iterator[Table]:
    yield Table(
        f"Ranks by {judge.judge} in lists of {len(board.models)}",
        ("model", "mean rank", "came first"),
        tuple((row.model, number_text(row.mean_rank), _percent(row.first)) for row in board.models),
        (
            f"{board.verdicts} lists of {board.questions} questions, each ranked in two orders, the second the reverse "
            f"of the first. {_percent(board.consistent)} of the pairs of answers stand alike in both.",
            f"An answer that stands last and not first loses {number_text(board.order_effect)} ranks.",
        ),
    )
    yield _of_ratings(
        f"Ratings by {judge.judge} in lists of {len(board.models)} (Plackett-Luce)", board.ratings, board.notes
    )


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
