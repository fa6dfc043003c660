"""A board as a file: everything a page shows, and everything that somebody needs to compute it again.

Numbers are rounded to 1e-6 when they are written. Lists are sorted as they should be shown.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fastchat.core.errors import SetupError

FORMAT: Literal["fastchat-board/1"] = "fastchat-board/1"
OVERALL = "overall"  # the category of all votes, always the first
DECIMALS = 6

Rounded = Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda number: round(number, DECIMALS))]
EARLIEST, LATEST = -62135596800, 253402214400  # beginnings of the first and the last day that a date can have
Seconds = Annotated[float, Field(ge=EARLIEST, le=LATEST)]  # UTC


class Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ModelRow(Value):
    """A model's place. Ratings and ranks compare within a component only."""

    name: str
    rating: Rounded
    lower: Rounded  # marginal interval
    upper: Rounded
    rank_lower: int  # best and worst rank that the votes leave open, of all models of its component at once
    rank_upper: int
    votes: int
    win_rate: Rounded  # wins and half of ties and both-bad, of its votes
    tier: int  # 1 is the top; models of different tiers are told apart for sure
    component: int = 0  # 0 is the largest
    unbounded: Literal["above", "below"] | None = None  # it won, or lost, everything: no bound on this side
    preliminary: bool = False  # it has few votes


Count = Annotated[int, Field(ge=0, lt=2**53)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Cells = tuple[Count, Count, Count, Count]  # left won, right won, tie, both bad
Weights = tuple[()] | tuple[Weight, Weight, Weight, Weight, Weight, Weight, Weight, Weight]  # of two Cells, if any


@dataclass(frozen=True, slots=True)
class PairRow:
    """Votes between two models, model_a's name before model_b's in the alphabet.

    No model of pydantic's: a board has thousands, and the live one makes them after every vote.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", protected_namespaces=())

    model_a: str
    model_b: str
    votes: int
    wins_a: Rounded  # from here to both_bad weights, if votes have any
    wins_b: Rounded
    ties: Rounded
    both_bad: Rounded
    given: Cells  # votes when model_a stood left
    swapped: Cells  # votes when model_b stood left
    weights: Weights = ()  # if votes have any, in full: of given, then of swapped
    squares: Weights = ()  # likewise, of each weight's square


class CoefficientRow(Value):
    """Of a style, or of a side, in Elo points a unit of the covariate."""

    name: str
    estimate: Rounded
    lower: Rounded
    upper: Rounded


class NeighbourRow(Value):
    """A model and the next one of its component."""

    better: str
    worse: str
    difference: Rounded  # in rating
    error: Rounded  # standard error of it
    probability: Rounded  # that `better` is better
    separated: bool  # for all pairs at once
    votes_needed: int | None  # that many more between them, if they go on like this; None: no number would do


class FlipRow(Value):
    """The smallest number of votes whose outcome, turned round, changes who is first."""

    first: str
    second: str
    votes: int
    share: Rounded  # of all votes


class CategoryBoard(Value):
    how: str = ""  # by what a vote was told to be in it
    votes: int
    outcomes: Mapping[Literal["left", "right", "tie", "both_bad"], Rounded]
    both_bad_share: Rounded
    models: tuple[ModelRow, ...]  # controlled for style if the board's parameters say so
    raw: tuple[ModelRow, ...] | None = None  # then beside them the ratings without that
    coefficients: tuple[CoefficientRow, ...] = ()  # of the style
    pairs: tuple[PairRow, ...] = ()
    components: tuple[tuple[str, ...], ...] = ()
    critical_value: Rounded | None = None  # of the rank sets
    neighbours: tuple[NeighbourRow, ...] = ()
    top_flip: FlipRow | None = None  # of the ratings without style
    digest: str = ""  # of the counts
    notes: tuple[str, ...] = ()  # rules that had to be applied, in words


class CleaningStep(Value):
    """A line of the waterfall."""

    rule: str
    why: str
    given: int
    dropped: int

    @property
    def kept(self) -> int:
        return self.given - self.dropped


class BiasRow(Value):
    """What moves votes without being the model, with and without correction for it."""

    name: str  # "left side", "length", "speed", "same organisation"
    unit: str  # what one of it is
    estimate: Rounded  # in Elo points a unit
    lower: Rounded
    upper: Rounded
    largest_change: Rounded  # of a rating, when it is corrected for
    order_changes: int  # pairs of models that change places then


class VariantRow(Value):
    """A family of models of which several were tested."""

    family: str
    tested: Mapping[str, int]  # every variant, with its votes
    listed: tuple[str, ...]
    flagged: bool  # several were tested, and only the best is listed
    expected_gain: Rounded | None = None  # points that the best of so many gains by chance


class QuarantineBoard(Value):
    """Voters that the anomaly test would set aside, and the overall ratings with and without their votes."""

    voters: int
    votes: int
    level: float  # false alarms the test allows, a voter
    applied: bool  # all else in the board is without their votes
    models_with: tuple[ModelRow, ...]
    models_without: tuple[ModelRow, ...]


class HistoryPoint(Value):
    until: Seconds
    votes: int
    ratings: Mapping[str, Rounded]


def _safe_link(link: str) -> str:
    """Anything but a web address is left out: whoever wrote the table of models has no say over our page."""
    return link if link.startswith(("https://", "http://")) else ""


SafeLink = Annotated[str, AfterValidator(_safe_link)]


class ModelFacts(Value):
    """What is known of a model beside its votes."""

    title: str = ""  # how it is called where the votes have a shorter name
    organization: str = ""
    license: str = ""
    link: SafeLink = ""
    family: str = ""  # what it is a variant of
    parameters_b: float | None = None  # billions
    price: float | None = None  # for a million tokens of answer
    tokens: Rounded | None = None  # median of an answer
    first_token_s: Rounded | None = None  # median
    tokens_per_s: Rounded | None = None  # median


class Board(Value):
    format: Literal["fastchat-board/1"] = FORMAT
    code_version: str
    built_at: Seconds
    source: Mapping[str, Any] = Field(default_factory=dict)  # files with SHA-256, or the arena's log with its head
    parameters: Mapping[str, Any] = Field(default_factory=dict)  # all that the votes were put through
    cleaning: tuple[CleaningStep, ...] = ()
    categories: Mapping[str, CategoryBoard]
    quarantine: QuarantineBoard | None = None
    bias: tuple[BiasRow, ...] = ()
    variants: tuple[VariantRow, ...] = ()
    history: tuple[HistoryPoint, ...] = ()
    facts: Mapping[str, ModelFacts] = Field(default_factory=dict)
    digest: str = ""  # SHA-256 of all the rest

    @property
    def own_digest(self) -> str:
        content = self.model_dump(mode="json", exclude={"digest"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def sealed(self) -> "Board":
        return self.model_copy(update={"digest": self.own_digest})


def read_board(file: Path) -> Board:
    """
    Raises:
        SetupError: it cannot be read, or is no board.
    """
    try:
        board = Board.model_validate_json(file.read_bytes())
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _no_board(file, f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None
    if not board.categories:
        raise _no_board(file, "categories: there is none")
    return board


def _no_board(file: Path, why: str) -> SetupError:
    return SetupError(
        f"{file} is no board of the format {FORMAT}: {why}. Give what `fastchat leaderboard build` wrote."
    )
