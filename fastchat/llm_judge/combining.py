"""Judgments of several judges in a folder, combined into a file of their own, as if one more judge had written it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

from fastchat.llm_judge.ensembles import dawid_skene, majority, mean
from fastchat.llm_judge.files import encode, read_recorded
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.matches import Mode
from fastchat.llm_judge.records import PairVerdict, SingleVerdict

How: TypeAlias = Literal["mean", "majority", "dawid-skene"]
_COMBINED = tuple(f"{how}(" for how in get_args(How))  # how the names of combined judges begin


class Combined(NamedTuple):
    file: Path
    verdicts: int


def combine(root: Path, how: How, judges: Sequence[str] = ()) -> Combined:
    """Of these judges, or of all but those that were combined themselves.

    Raises:
        SetupError: there are fewer than two, or a file cannot be read.
    """
    files = sorted((root / "model_judgment").glob("*_single.jsonl" if how == "mean" else "*_pair.jsonl"))

    def counts(row: SingleVerdict | PairVerdict) -> bool:
        return row.judge[0] in judges if judges else not row.judge[0].startswith(_COMBINED)

    found: Sequence[SingleVerdict | PairVerdict]
    if how == "mean":
        found = mean(row for file in files for row in read_recorded(file, SingleVerdict) if counts(row))
    else:
        pairs = [row for file in files for row in read_recorded(file, PairVerdict) if counts(row)]
        found = majority(pairs) if how == "majority" else dawid_skene(pairs).verdicts
    mode = Mode.SINGLE if how == "mean" else Mode.PAIRWISE_ALL
    target = BenchFolder(root).verdicts(found[0].judge[0], mode)
    target.write_bytes(b"".join(map(encode, found)))
    return Combined(target, len(found))
