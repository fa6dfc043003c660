"""lm-eval: its tasks, and a model of ours in the form in which it asks models."""

import asyncio
import math
from collections.abc import Coroutine, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.llm_judge.static.asking import Asking
from fastchat.llm_judge.static.records import Plan, Score, StaticResult, TaskFacts

Result = TypeVar("Result")

_FEWSHOT_SEED = 1234  # lm-eval's own, so that its examples are drawn here as well


class Harness:
    """Tasks, to be run in one way."""

    def __init__(self, tasks: Sequence[str], plan: Plan) -> None:
        """
        Raises:
            SetupError: there is no such task.
            MissingPackage: lm-eval is not installed.
        """
        try:
            import lm_eval.tasks  # noqa: F401
        except ImportError as error:
            raise MissingPackage(error.name or "lm_eval", "static", "`fastchat bench static`") from None
        self._plan = plan
        self._manager = _manager(tasks, plan.include_path)
        known = self._manager.all_tasks
        for task in tasks:
            if task in known:
                continue
            near = get_close_matches(task, known, n=5)
            hint = f" Do you mean {', '.join(near)}?" if near else ""
            raise SetupError(
                f"lm-eval has no task {task!r}.{hint} A task of your own is a YAML file: --include-path FOLDER."
            )

    def run(self, task: str, asking: Asking, loop: asyncio.AbstractEventLoop) -> StaticResult:
        """One task, or one group of tasks. Blocks: to be called in a thread beside the loop in which models are asked.

        Raises:
            SetupError: its dataset cannot be had, or the model cannot be asked what it asks.
        """
        import lm_eval
        from lm_eval.evaluator import evaluate

        loaded = self._load(task)
        for one in loaded["tasks"].values():
            _set_examples(one, self._plan.num_fewshot)
        found = evaluate(_model(asking, loop), loaded, limit=self._plan.limit, log_samples=False)
        return _result(task, asking.model, self._plan, found, lm_eval.__version__)

    def _load(self, task: str) -> Any:  # Any: lm-eval's tasks, which have no types for us
        try:
            loaded = self._manager.load([task])
        except Exception as error:  # loading a task runs code of its own, and datasets fail in many ways
            raise SetupError(_why_not_loaded(task, error)) from error
        for name, one in loaded["tasks"].items():
            if fault := _fault(one):
                raise SetupError(f"The task {name!r} {fault}")
        return loaded


def _manager(tasks: Sequence[str], own: Path | None) -> Any:
    """Of lm-eval's thousands of files none is read where all tasks are of one's own folder."""
    from lm_eval.tasks import TaskManager

    if own is not None:
        manager = TaskManager(include_path=str(own), include_defaults=False)
        if set(tasks) <= set(manager.all_subtasks):
            return manager
    return TaskManager(include_path=None if own is None else str(own))


def _fault(task: Any) -> str | None:
    """Why it is not offered here."""
    if getattr(task, "UNSAFE_CODE", False):
        return "runs what models write, without a sandbox, and is not offered here."
    if getattr(task, "MULTIMODAL", False):
        return "shows pictures, and only texts are asked here."
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        return (
            "wants the likelihood of whole texts, which would take a call for each of their tokens. It is not offered "
            "here; use lm-eval with the weights."
        )
    return None


def _why_not_loaded(task: str, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")
    return (
        f"The task {task!r} cannot be loaded: {type(error).__name__}: {reason}. Most tasks take their questions from "
        "the Hugging Face hub. With no way there, fetch them on a machine that has one and bring its folder HF_HOME "
        "along, or name a task whose dataset_kwargs.data_files lie on this disk, in --include-path FOLDER."
    )


def _set_examples(task: Any, wanted: int | None) -> None:
    """As lm-eval does it: a task that says 0 means it."""
    own = task.get_config("num_fewshot")
    if own is None or (wanted is not None and own != 0):
        task.set_config(key="num_fewshot", value=wanted or 0)
    task.set_fewshot_seed(seed=_FEWSHOT_SEED)


def _model(asking: Asking, loop: asyncio.AbstractEventLoop) -> Any:  # Any: of lm-eval's class, which has no types
    from lm_eval.api.model import LM

    class Asked(LM):  # type: ignore[misc]  # a class without types
        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            return [*_wait(asking.likelihoods([request.args[:2] for request in requests]), loop)]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            return _wait(asking.answers([request.args[:2] for request in requests]), loop)

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            raise SetupError("Likelihoods of whole texts are not offered here.")

    return Asked()


def _wait(asked: Coroutine[Any, Any, Result], loop: asyncio.AbstractEventLoop) -> Result:
    return asyncio.run_coroutine_threadsafe(asked, loop).result()


def _number(told: object) -> float | None:
    """lm-eval says "N/A" of what it does not compute."""
    return float(told) if isinstance(told, int | float) and math.isfinite(told) else None


def _result(task: str, model: str, plan: Plan, found: Mapping[str, Any], version: str) -> StaticResult:
    scores, facts = [], {}
    for name, numbers in found["results"].items():
        is_higher_better = found["higher_is_better"].get(name) or {}
        for key, value in numbers.items():
            metric, _, answers = key.partition(",")
            if not answers or metric.endswith("_stderr"):
                continue
            scores.append(
                Score(
                    task=name,
                    metric=metric,
                    answers=answers,
                    value=_number(value),
                    error=_number(numbers.get(f"{metric}_stderr,{answers}")),
                    higher_is_better=is_higher_better.get(metric),
                )
            )
        counts = found["n-samples"].get(name)
        facts[name] = TaskFacts(
            version=str(found["versions"].get(name, "")),
            fewshot=found["n-shot"].get(name),
            questions=None if counts is None else counts["effective"],
        )
    return StaticResult(
        model=model,
        task=task,
        num_fewshot=plan.num_fewshot,
        limit=plan.limit,
        scores=tuple(scores),
        tasks=facts,
        lm_eval_version=version,
    )
