"""Which models are kin, by their names: a judge may know its own family's answers, and like them.

Names are all that is known of most models, so a kinship that a name hides is not found. Families are data,
data/families.toml.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Kin:
    """A contestant, and what it shares with its judge."""

    model: str
    families: tuple[str, ...]  # empty: it is the judge itself, of a line that we do not know
    is_judge: bool

    @property
    def shared(self) -> str:
        return "the same model" if self.is_judge else f"the family {' and '.join(self.families)}"


def families_of(model: str) -> frozenset[str]:
    """Several where a name tells that one family's answers were taught to another's weights."""
    return frozenset(family for family, stem in _stems().items() if stem.search(model.casefold()))


def kin(judge: str, models: Iterable[str]) -> tuple[Kin, ...]:
    """Those of the models that are the judge itself, or of its family."""
    own = families_of(judge)
    found = [
        Kin(model, tuple(sorted(own & families_of(model))), _bare(model) == _bare(judge))
        for model in sorted(set(models))
    ]
    return tuple(each for each in found if each.is_judge or each.families)


def _bare(model: str) -> str:
    """Without who keeps it on the hub."""
    return model.rpartition("/")[2].casefold()


@cache
def _stems() -> Mapping[str, re.Pattern[str]]:
    text = (files("fastchat.llm_judge") / "data" / "families.toml").read_text("utf-8")
    return {
        family: re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, stems))})(?![a-z])")
        for family, stems in tomllib.loads(text).items()
    }
