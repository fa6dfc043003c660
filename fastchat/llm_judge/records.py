"""The rows of FastChat's files, with what we add behind. Fields that we do not know are kept and written again.

question.jsonl                       Question
model_answer/MODEL.jsonl             Answer       (reference_answer/JUDGE.jsonl: the same)
model_judgment/JUDGE_single.jsonl    SingleVerdict
model_judgment/JUDGE_pair.jsonl      PairVerdict
model_judgment/JUDGE_list.jsonl      ListVerdict  (ours, as what follows: FastChat's tools read the others only)
model_judgment/JUDGE_failures.jsonl  Failure
"""

from enum import StrEnum
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

Kind: TypeAlias = Literal["single", "pair", "list"]  # of a verdict; files and prompts are called by it
Ranking: TypeAlias = tuple[tuple[str, ...], ...]  # best first; those that are equally good stand together


class Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class Question(Row):
    question_id: int | str
    category: str = ""
    turns: tuple[str, ...] = Field(min_length=1)
    reference: tuple[str, ...] | None = None  # one a turn, where there is one truth
    required_temperature: float | None = None


class Choice(Row):
    index: int = 0
    turns: tuple[str, ...]


class Answer(Row):
    question_id: int | str
    answer_id: str
    model_id: str
    choices: tuple[Choice, ...]
    tstamp: float


class Winner(StrEnum):
    """Of one game, in which the first model stood as A, or of two games with the sides swapped."""

    MODEL_1 = "model_1"
    MODEL_2 = "model_2"
    TIE = "tie"
    ERROR = "error"  # FastChat's; ours are failures, which stand in a file beside


class SingleVerdict(Row):
    question_id: int | str
    model: str
    judge: tuple[str, str]  # model and name of the prompt
    user_prompt: str
    judgment: str
    score: FiniteFloat  # -1: FastChat's word for a failure
    turn: int = 1
    tstamp: float = 0.0


class PairVerdict(Row):
    question_id: int | str
    model_1: str
    model_2: str
    g1_winner: str  # of Winner; in the first game model_1 stood as A
    g2_winner: str  # in the second it stood as B; names are of models, not of sides
    judge: tuple[str, str]
    g1_user_prompt: str = ""
    g1_judgment: str = ""
    g2_user_prompt: str = ""
    g2_judgment: str = ""
    turn: int = 1
    tstamp: float = 0.0


class ListVerdict(Row):
    """Ours. In the first game `models` stood as A, B, C, … in this order, in the second in the reverse."""

    question_id: int | str
    models: tuple[str, ...] = Field(min_length=3)
    g1_ranking: Ranking  # names are of models, not of letters
    g2_ranking: Ranking
    judge: tuple[str, str]
    g1_user_prompt: str = ""
    g1_judgment: str = ""
    g2_user_prompt: str = ""
    g2_judgment: str = ""
    turn: int = 1
    tstamp: float = 0.0

    @model_validator(mode="after")
    def _ranks_every_model_once(self) -> Self:
        for ranking in (self.g1_ranking, self.g2_ranking):
            if sorted(model for place in ranking for model in place) != sorted(self.models):
                raise ValueError("a ranking has to name every model of the list once")
        return self


Verdict: TypeAlias = SingleVerdict | PairVerdict | ListVerdict


class Failure(Row):
    """A verdict that could not be had, with why. It is asked for again by the next run."""

    question_id: int | str
    models: tuple[str, ...]
    judge: tuple[str, str]
    turn: int
    reason: str
    judgment: str = ""  # what the judge said, if it said anything
    attempts: int = 1
    tstamp: float = 0.0
