"""A board as a file: everything a page shows, and everything that somebody needs to compute it again.

Numbers are rounded to 1e-6 when they are written. Lists are sorted as they should be shown.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

FORMAT: Literal["fastchat-board/1"] = "fastchat-board/1"
OVERALL = "overall"  # the category of all votes, always the first
DECIMALS = 6

Rounded = Annotated[float, AfterValidator(lambda number: round(number, DECIMALS))]


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


class PairRow(Value):
    """Votes between two models, model_a's name before model_b's in the alphabet."""

    model_a: str
    model_b: str
    votes: int
    wins_a: Rounded  # weights, if votes have any
    wins_b: Rounded
    ties: Rounded
    both_bad: Rounded
    given: tuple[Rounded, Rounded, Rounded, Rounded]  # model_a stood left: left won, right won, tie, both bad
    swapped: tuple[Rounded, Rounded, Rounded, Rounded]  # model_b stood left
    squares: tuple[Rounded, ...] = ()  # with weights: of given, then of swapped


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
    votes: int
    outcomes: Mapping[Literal["left", "right", "tie", "both_bad"], Rounded]
    both_bad_share: Rounded
    models: tuple[ModelRow, ...]
    style_controlled: tuple[ModelRow, ...] | None = None
    coefficients: tuple[CoefficientRow, ...] = ()  # of the style-controlled ratings
    pairs: tuple[PairRow, ...] = ()
    components: tuple[tuple[str, ...], ...] = ()
    critical_value: Rounded | None = None  # of the rank sets
    neighbours: tuple[NeighbourRow, ...] = ()
    top_flip: FlipRow | None = None
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
    estimate: Rounded  # in Elo points
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
    """Voters that the anomaly test set aside, and the overall ratings with their votes."""

    voters: int
    votes: int
    level: float  # false alarms the test allows, a voter
    models: tuple[ModelRow, ...]  # with them


class HistoryPoint(Value):
    until: float  # UTC seconds
    votes: int
    ratings: Mapping[str, Rounded]


class ModelFacts(Value):
    """What is known of a model beside its votes."""

    organization: str = ""
    license: str = ""
    link: str = ""
    parameters_b: float | None = None  # billions
    price: float | None = None  # for a million tokens of answer
    tokens: Rounded | None = None  # median of an answer
    first_token_s: Rounded | None = None  # median
    tokens_per_s: Rounded | None = None  # median


class Board(Value):
    format: Literal["fastchat-board/1"] = FORMAT
    code_version: str
    built_at: float  # UTC seconds
    source: Mapping[str, Any] = Field(default_factory=dict)  # files with SHA-256, or the arena's log with its head
    parameters: Mapping[str, Any] = Field(default_factory=dict)  # all that the votes were put through
    cleaning: tuple[CleaningStep, ...] = ()
    categories: Mapping[str, CategoryBoard]
    quarantine: QuarantineBoard | None = None
    bias: tuple[BiasRow, ...] = ()
    variants: tuple[VariantRow, ...] = ()
    history: tuple[HistoryPoint, ...] = ()
    facts: Mapping[str, ModelFacts] = Field(default_factory=dict)
