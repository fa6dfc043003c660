"""A file of judgments without doubles, as FastChat's `clean_judgment` leaves it: of equal ones the first stays."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastchat.core.outputs import write_output
from fastchat.llm_judge.files import encode, id_order, read_rows
from fastchat.llm_judge.records import PairVerdict, Row, SingleVerdict


@dataclass(frozen=True, slots=True)
class Cleaned:
    rows: Sequence[SingleVerdict | PairVerdict]
    rows_read: int
    models: tuple[str, ...]  # of the rows that are left

    def write(self, file: Path) -> None:
        """
        Raises:
            SetupError: it cannot be written.
        """
        write_output(file, b"".join(map(encode, self.rows)))


def cleaned(file: Path, models: Collection[str] = ()) -> Cleaned:
    """Of these models only, if any are named. The rows are sorted by model, question and turn.

    Raises:
        SetupError: the file cannot be read, or a line is no judgment.
    """
    found: Sequence[SingleVerdict | PairVerdict]
    found = read_rows(file, PairVerdict) if _is_of_pairs(file) else read_rows(file, SingleVerdict)
    kept: dict[Hashable, SingleVerdict | PairVerdict] = {}
    for row in found:
        if not models or {*_models(row)} <= {*models}:
            kept.setdefault(_key(row), row)
    rows = sorted(kept.values(), key=lambda row: (_models(row), id_order(row.question_id), row.turn))
    return Cleaned(rows, len(found), tuple(sorted({model for row in rows for model in _models(row)})))


def _is_of_pairs(file: Path) -> bool:
    return any("model_1" in (row.model_extra or {}) for row in read_rows(file, Row)[:1])


def _models(row: SingleVerdict | PairVerdict) -> tuple[str, ...]:
    return (row.model,) if isinstance(row, SingleVerdict) else (row.model_1, row.model_2)


def _key(row: SingleVerdict | PairVerdict) -> Hashable:
    """With the models in their order, as FastChat has it."""
    return row.judge[0], row.question_id, _models(row), row.turn
