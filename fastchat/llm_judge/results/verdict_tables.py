"""What a judge's verdicts say, as tables: scores of single answers, wins of pairs, ranks in lists."""

from collections.abc import Iterator, Sequence

from fastchat.llm_judge.results.lists import ListBoard
from fastchat.llm_judge.results.pairwise import PairBoard, Rating
from fastchat.llm_judge.results.report import JudgeReport
from fastchat.llm_judge.results.scores import ScoreBoard
from fastchat.llm_judge.results.table import Table, number_text, percent_text, plain_text, ranks_text

_SHOWN = 45  # differences: all pairs of ten models


def score_tables(judge: JudgeReport, board: ScoreBoard) -> Iterator[Table]:
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
                ranks_text(row.best_rank, row.worst_rank),
                *(plain_text(row.turns.get(turn)) for turn in turns),
                str(row.verdicts),
            )
            for row in board.models
        ),
        tuple(notes),
    )
    if names:
        rows = tuple((row.model, *(plain_text(row.categories.get(name)) for name in names)) for row in board.models)
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


def pair_tables(judge: JudgeReport, board: PairBoard) -> Iterator[Table]:
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
            f"Of {place.pairs} pairs asked in both orders {percent_text(place.consistent)} have the same verdict, "
            f"{percent_text(place.first)} go to whoever is first both times, "
            f"{percent_text(place.second)} to whoever is second."
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
            ranks_text(row.best_rank, row.worst_rank),
        )
        for row in ratings
    )
    return Table(title, ("model", "rating", "interval", "rank"), rows, notes)


def list_tables(judge: JudgeReport, board: ListBoard) -> Iterator[Table]:
    yield Table(
        f"Ranks by {judge.judge} in lists of {len(board.models)}",
        ("model", "mean rank", "came first"),
        tuple((row.model, number_text(row.mean_rank), percent_text(row.first)) for row in board.models),
        (
            f"{board.verdicts} lists of {board.questions} questions, each ranked in two orders, the second the reverse "
            f"of the first. {percent_text(board.consistent)} of the pairs of answers stand alike in both.",
            f"An answer that stands last and not first loses {number_text(board.order_effect)} ranks.",
        ),
    )
    yield _of_ratings(
        f"Ratings by {judge.judge} in lists of {len(board.models)} (Bradley-Terry)", board.ratings, board.notes
    )
