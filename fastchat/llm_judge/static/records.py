"""What a benchmark gave, a file a model and task: DIR/static/MODEL.TASK.json."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from fastchat import __version__
from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output

FOLDER = "static"


@dataclass(frozen=True, slots=True)
class Plan:
    """How tasks are run."""

    num_fewshot: int | None = None  # None: as each task has it
    limit: int | None = None  # questions of each task; None: all
    include_path: Path | None = None  # tasks of one's own


class Score(BaseModel):
    model_config = ConfigDict(frozen=True)

    task: str
    metric: str
    answers: str  # lm-eval's filter, by which an answer is read out of what was said
    value: FiniteFloat | None  # None: the metric has none over these questions
    error: FiniteFloat | None = None  # standard error
    higher_is_better: bool | None = None


class TaskFacts(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: str = ""
    fewshot: int | None = None
    questions: int | None = None  # that were asked; None of a group


class StaticResult(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model: str
    task: str  # as it was asked for: a task, or a group, whose tasks are in `scores` as well
    num_fewshot: int | None
    limit: int | None
    scores: tuple[Score, ...]
    tasks: Mapping[str, TaskFacts]
    lm_eval_version: str
    fastchat_version: str = __version__
    tstamp: float = Field(default_factory=time.time)


def file_of(folder: Path, model: str, task: str) -> Path:
    """A name on the hub has a slash in it, a file's must not."""
    return folder / FOLDER / f"{model.replace('/', '--')}.{task.replace('/', '--')}.json"


def read_result(file: Path) -> StaticResult:
    """
    Raises:
        SetupError: it cannot be read, or is none.
    """
    try:
        return StaticResult.model_validate_json(file.read_bytes())
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise SetupError(f"{file}: {place}: {first['msg']}.") from None


def write_result(folder: Path, result: StaticResult) -> Path:
    """
    Raises:
        SetupError: it cannot be written.
    """
    file = file_of(folder, result.model, result.task)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_output(file, (result.model_dump_json(indent=2) + "\n").encode())
    return file


def is_done(folder: Path, model: str, task: str, plan: Plan) -> bool:
    """
    Raises:
        SetupError: it was run in another way, and two numbers cannot stand in one place.
    """
    file = file_of(folder, model, task)
    if not file.exists():
        return False
    had = read_result(file)
    if (had.num_fewshot, had.limit) != (plan.num_fewshot, plan.limit):
        raise SetupError(
            f"{file} was made with --num-fewshot {had.num_fewshot} and --limit {had.limit}, which is another number. "
            "Give another folder with --output, or remove the file."
        )
    return True
