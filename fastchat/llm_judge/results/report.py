"""All that a folder of judgments says, in one frozen result: a part for each judge."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fastchat import __version__
from fastchat.core.errors import SetupError
from fastchat.llm_judge.families import Kin, kin
from fastchat.llm_judge.files import read_recorded
from fastchat.llm_judge.records import Question
from fastchat.llm_judge.results.agreement import Agreements, agreements
from fastchat.llm_judge.results.battles import Battle, Battles, opinions_of
from fastchat.llm_judge.results.blanks import Blanks, blanks
from fastchat.llm_judge.results.calibrated import Calibrated, calibrated
from fastchat.llm_judge.results.checked import Checked, checked
from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.results.games import is_readable
from fastchat.llm_judge.results.lengths import LengthEffect, score_length_effect
from fastchat.llm_judge.results.lists import ListBoard, list_boards
from fastchat.llm_judge.results.opinions import HUMAN, Opinion, by_hand, of_lists, of_pairs, of_scores, read_votes
from fastchat.llm_judge.results.pairwise import PairBoard, pair_board
from fastchat.llm_judge.results.reading import Judged, read_folder
from fastchat.llm_judge.results.scores import FAILED, ScoreBoard, score_board
from fastchat.llm_judge.results.static import StaticScore, static_scores
from fastchat.llm_judge.results.styles import pair_style_effects, score_style_effects


@dataclass(frozen=True, slots=True)
class JudgeReport:
    judge: str
    scores: ScoreBoard | None  # of single answers; None: there are none
    length_effect: LengthEffect | None  # on these scores
    score_style_effects: Mapping[str, Estimate]  # points of score, see `styles`
    pairs: PairBoard | None
    pair_style_effects: Mapping[str, Estimate]  # log-odds
    lists: tuple[ListBoard, ...]  # one for each set of models
    kin: tuple[Kin, ...]  # contestants of the judge's own family
    failures: Mapping[str, int]  # verdicts that could not be had, by reason
    failures_of_models: Mapping[str, int]  # the same, by whose answers they were about
    turned_pairs: int  # that were there in both orders of names; the last counts
    calibrated: tuple[Calibrated, ...]  # empty without votes of people


@dataclass(frozen=True, slots=True)
class Report:
    name: str  # of the folder
    judges: tuple[JudgeReport, ...]
    agreements: tuple[Agreements, ...]  # among judges, and of each with people
    battles: Battles | None  # of an arena; None: none were given
    blanks: tuple[Blanks, ...]  # of models with empty answers, or questions that they could not be asked
    checked: tuple[Checked, ...]  # of answers that were run
    static: tuple[StaticScore, ...]  # of benchmarks
    version: str

    def json(self) -> str:
        return json.dumps(asdict(self), allow_nan=False, indent=2, ensure_ascii=False)


def show(
    folder: Path | str,
    votes: Sequence[Path] = (),
    baseline: str | None = None,
    battles: Sequence[Battle] | None = None,
) -> Report:
    """`votes` are files of people's votes, see `opinions`, `battles` those of an arena; who graded by hand in the
    folder is among the people. With a `baseline`, the table of wins is of games against it.

    Raises:
        SetupError: there are no judgments, a file cannot be read, or nothing was compared with the baseline.
    """
    place = Path(folder)
    passed, benchmarks = checked(place), static_scores(place)
    has_judgments = any((place / "model_judgment").glob("*.jsonl"))
    judged = read_folder(place) if has_judgments or not (passed or benchmarks) else Judged()
    compared = {model for row in judged.pairs for model in (row.model_1, row.model_2)}
    if baseline is not None and baseline not in compared:
        known = ", ".join(sorted(compared)) or "there are none"
        raise SetupError(f"Nothing was compared with {baseline!r}; the models of these pairs: {known}.")
    questions = read_recorded(place / "question.jsonl", Question) if battles else []
    of_arena, met = opinions_of(battles or (), questions, judged.models)
    of_files = [vote for file in votes for vote in read_votes(file)]
    by_people = [*by_hand(judged.single, judged.pairs), *of_files, *of_arena]
    of_judges = [
        each
        for each in (*of_pairs(judged.pairs), *of_scores(judged.single), *of_lists(judged.lists))
        if each.kind != HUMAN
    ]
    opinions = [*of_judges, *by_people]
    return Report(
        place.resolve().name,
        tuple(_of_judge(judge, judged.of(judge), by_people, baseline) for judge in judged.judges),
        tuple(_agreements(opinions)),
        met if battles is not None else None,
        blanks(place),
        passed,
        benchmarks,
        __version__,
    )


def _of_judge(judge: str, judged: Judged, by_people: Sequence[Opinion], baseline: str | None) -> JudgeReport:
    scored = any(row.score != FAILED for row in judged.single)
    opinions = list(of_pairs(judged.pairs)) or list(of_scores(judged.single)) or list(of_lists(judged.lists))
    is_person = any(each.kind == HUMAN for each in opinions)
    return JudgeReport(
        judge,
        scores=score_board(judged.single, judged.categories) if scored else None,
        length_effect=score_length_effect(judged.single, judged.lengths),
        score_style_effects=score_style_effects(judged.single, judged.styles),
        pairs=pair_board(judged.pairs, judged.lengths, baseline) if any(map(is_readable, judged.pairs)) else None,
        pair_style_effects=pair_style_effects(judged.pairs, judged.styles),
        lists=list_boards(judged.lists),
        kin=() if is_person else kin(judge, judged.models),
        failures=dict(Counter(failure.reason for failure in judged.failures).most_common()),
        failures_of_models=dict(Counter(name for failure in judged.failures for name in failure.models).most_common()),
        turned_pairs=judged.turned.get(judge, 0),
        calibrated=() if is_person else calibrated(opinions, by_people),
    )


def _agreements(opinions: Sequence[Opinion]) -> list[Agreements]:
    """Of all kinds with all, and of people among themselves, where two of them voted on the same answers."""
    kinds = sorted({each.kind for each in opinions}, key=lambda kind: (kind == HUMAN, kind))
    pairs = [(one, other) for at, one in enumerate(kinds) for other in kinds[at + 1 :]]
    found = [agreements(opinions, one, other) for one, other in [*pairs, (HUMAN, HUMAN)]]
    return [each for each in found if each.with_ties.random is not None]
