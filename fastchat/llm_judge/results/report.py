"""All that a folder of judgments says, in one frozen result: a part for each judge."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fastchat import __version__
from fastchat.core.errors import SetupError
from fastchat.llm_judge.results.agreement import Agreements, agreements
from fastchat.llm_judge.results.calibrated import Calibrated, calibrated
from fastchat.llm_judge.results.games import is_readable
from fastchat.llm_judge.results.lengths import LengthEffect, score_length_effect
from fastchat.llm_judge.results.opinions import HUMAN, Opinion, of_pairs, of_scores, read_votes
from fastchat.llm_judge.results.pairwise import PairBoard, pair_board
from fastchat.llm_judge.results.reading import Judged, read_folder
from fastchat.llm_judge.results.scores import FAILED, ScoreBoard, score_board


@dataclass(frozen=True, slots=True)
class JudgeReport:
    judge: str
    scores: ScoreBoard | None  # of single answers; None: there are none
    length_effect: LengthEffect | None  # on these scores
    pairs: PairBoard | None
    failures: Mapping[str, int]  # verdicts that could not be had, by reason
    calibrated: tuple[Calibrated, ...]  # empty without votes of people


@dataclass(frozen=True, slots=True)
class Report:
    name: str  # of the folder
    judges: tuple[JudgeReport, ...]
    agreements: tuple[Agreements, ...]  # among judges, and of each with people
    version: str

    def json(self) -> str:
        return json.dumps(asdict(self), allow_nan=False, indent=2, ensure_ascii=False)


def show(folder: Path | str, votes: Sequence[Path] = (), baseline: str | None = None) -> Report:
    """`votes` are files of people's votes, see `opinions`; with a `baseline`, the table of wins is of games against it.

    Raises:
        SetupError: there are no judgments, a file cannot be read, or nothing was compared with the baseline.
    """
    place = Path(folder)
    judged = read_folder(place)
    compared = {model for row in judged.pairs for model in (row.model_1, row.model_2)}
    if baseline is not None and baseline not in compared:
        known = ", ".join(sorted(compared)) or "there are none"
        raise SetupError(f"Nothing was compared with {baseline!r}; the models of these pairs: {known}.")
    by_people = [vote for file in votes for vote in read_votes(file)]
    opinions = [*of_pairs(judged.pairs), *of_scores(judged.single), *by_people]
    return Report(
        place.resolve().name,
        tuple(_of_judge(judge, judged.of(judge), by_people, baseline) for judge in judged.judges),
        tuple(_agreements(opinions)),
        __version__,
    )


def _of_judge(judge: str, judged: Judged, by_people: Sequence[Opinion], baseline: str | None) -> JudgeReport:
    scored = any(row.score != FAILED for row in judged.single)
    opinions = list(of_pairs(judged.pairs)) or list(of_scores(judged.single))
    return JudgeReport(
        judge,
        scores=score_board(judged.single, judged.categories) if scored else None,
        length_effect=score_length_effect(judged.single, judged.lengths),
        pairs=pair_board(judged.pairs, judged.lengths, baseline) if any(map(is_readable, judged.pairs)) else None,
        failures=dict(Counter(failure.reason for failure in judged.failures).most_common()),
        calibrated=calibrated(opinions, by_people),
    )


def _agreements(opinions: Sequence[Opinion]) -> list[Agreements]:
    """Of all kinds with all, and of people among themselves, where two of them voted on the same answers."""
    kinds = sorted({each.kind for each in opinions}, key=lambda kind: (kind == HUMAN, kind))
    pairs = [(one, other) for at, one in enumerate(kinds) for other in kinds[at + 1 :]]
    found = [agreements(opinions, one, other) for one, other in [*pairs, (HUMAN, HUMAN)]]
    return [each for each in found if each.with_ties.random is not None]
