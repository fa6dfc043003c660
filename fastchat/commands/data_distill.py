"""`fastchat data distill`: a teacher's answers become conversations to train on.

The machinery of `fastchat bench` asks: several calls at a time, again where a server is busy, never beyond the budget,
and never twice for what was answered.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import setting
from fastchat.llm_judge.settings import ReachSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastchat.commands.paid_calls import PaidCalls
    from fastchat.data.distilling.exercises import Exercise
    from fastchat.data.distilling.notebook import Notebook
    from fastchat.data.distilling.teaching import Ask, Manner
    from fastchat.data.records import Conversation
    from fastchat.llm_judge import asking
    from fastchat.llm_judge.budget import Budget
    from fastchat.llm_judge.running import Tally
    from fastchat.llm_judge.settings import Reach


class DistillSettings(ReachSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_DATA_")

    source: Path | None = setting(
        None,
        "prompts (.txt, JSON lines) or conversations whose questions are asked again",
        metavar="IN",
        positional=True,
    )
    target: Path | None = setting(
        None, "file to write; OUT.distill beside it is what the same line goes on from", metavar="OUT", positional=True
    )
    format: str | None = setting(
        None, "of IN, if it holds conversations (default: its first record tells)", metavar="NAME"
    )
    to: Literal["sharegpt", "messages"] = setting("sharegpt", "format of OUT: FastChat's, or OpenAI's messages")
    teacher: str | None = setting(
        None, "who answers: a model that is served, or loaded here (default: the only one there is)", metavar="MODEL"
    )
    turns: PositiveInt | None = setting(
        None, "rounds of a conversation (default: the questions it has); a model asks those that lack", metavar="N"
    )
    asker: str | None = setting(None, "that model (default: the teacher)", metavar="MODEL")
    system: str | None = setting(None, "system message, in place of what conversations have", metavar="TEXT")
    temperature: NonNegativeFloat = setting(0.7, "how freely answers are drawn", metavar="T")
    max_tokens: PositiveInt = setting(1024, "longest answer; one that is cut off is not learned from", metavar="N")
    seed: NonNegativeInt = setting(0, "of the first prompt; the next one has the next", metavar="N")


async def distill(settings: DistillSettings) -> int:
    """1 if something is left to do."""
    from dataclasses import asdict

    from fastchat.commands.paid_calls import paid_calls
    from fastchat.data.distilling.exercises import digest, read_exercises
    from fastchat.data.distilling.notebook import Notebook
    from fastchat.data.distilling.teaching import Manner
    from fastchat.data.writers import check_ending, write_conversations

    if settings.source is None or settings.target is None:
        raise SetupError("IN and OUT are needed: what is asked, and the file to write. `--help` shows the order.")
    if settings.source.resolve() == settings.target.resolve():
        raise SetupError("IN and OUT are the same file. Name another OUT.")
    check_ending(settings.target)
    exercises = list(read_exercises(settings.source, settings.format))
    named = [name for name in (settings.teacher, settings.asker) if name]
    async with settings.open_reach(named) as reach:
        teacher = _teacher(settings, reach)
        asker = teacher if settings.asker is None else reach.find(settings.asker) or settings.asker
        manner = Manner(
            teacher, asker, settings.system, settings.temperature, settings.max_tokens, settings.seed, settings.turns
        )
        asked = {**asdict(manner), "source": digest(settings.source), "format": settings.format}
        del asked["max_tokens"]  # with more, what was cut off is asked again
        folder = settings.target.with_name(f"{settings.target.name}.distill")
        with Notebook.open(folder, asked) as notebook:
            left = [exercise for exercise in exercises if exercise.number not in notebook.done]
            with paid_calls(settings, reach, folder) as calls:
                _begin(left, manner, reach, calls.budget)
                try:
                    tally = await _teach_all(settings, reach, calls, notebook, left, manner)
                finally:
                    count = write_conversations(settings.target, notebook.conversations(), settings.to)
            return _end(settings.target, count, len(exercises), tally, calls.budget, notebook)


def _teacher(settings: DistillSettings, reach: "Reach") -> str:
    if settings.teacher is not None:
        return reach.find(settings.teacher) or settings.teacher
    if len(reach.contestants) != 1:
        served = ", ".join(reach.contestants) or "none"
        raise SetupError(f"--teacher is missing: who answers? There are: {served}.")
    return reach.contestants[0]


def _begin(left: "Sequence[Exercise]", manner: "Manner", reach: "Reach", budget: "Budget") -> None:
    """
    Raises:
        SetupError: a model is nowhere, or its price is not known although a budget is set.
    """
    from fastchat.commands.bench_progress import tell_plan
    from fastchat.data.distilling.teaching import foresee
    from fastchat.llm_judge.plan import Foreseen, plan

    found = plan((Foreseen(*call) for exercise in left for call in foresee(exercise, manner)), budget.price)
    for share in found.shares:
        reach.check(share.model)
        budget.check(share.model)
    tell_plan(found, f"for {len(left):,} conversations", budget.left_usd)


async def _teach_all(
    settings: DistillSettings,
    reach: "Reach",
    calls: "PaidCalls",
    notebook: "Notebook",
    left: "Sequence[Exercise]",
    manner: "Manner",
) -> "Tally":
    from dataclasses import replace

    from fastchat.commands.bench_progress import ProgressBars
    from fastchat.data.distilling.teaching import Untaught, teach
    from fastchat.llm_judge.places import Parallel
    from fastchat.llm_judge.running import Done, run

    bars = ProgressBars()
    untaught = 0

    ask = _way(calls.ask)
    for model in sorted({manner.teacher, manner.asker}) if left else ():
        if reach.local.must_load(model):
            bars.loading(model)
            await reach.local.load(model)
    with bars.stage("conversations", len(left), calls.budget) as tell:

        def record(done: "Done[Exercise, Conversation | Untaught]") -> None:
            nonlocal untaught
            if done.error is not None:
                notebook.add_failure(done.job.id, done.error.message)
            elif isinstance(done.result, Untaught):
                untaught += 1
                notebook.add_failure(done.job.id, done.result.reason)
            elif done.result is not None:
                notebook.add(done.job.number, done.result)
            tell(done.error is None and not isinstance(done.result, Untaught))

        async def work(exercise: "Exercise") -> "Conversation | Untaught":
            return await teach(exercise, ask, manner)

        parallel = Parallel(settings.parallel, None, reach.addresses)
        tally = await run({manner.teacher: left}, work, parallel=parallel, on_done=record)
    for model, unasked in tally.unasked.items():
        bars.unasked(model, unasked)
    return replace(tally, done=tally.done - untaught, failed=tally.failed + untaught)


def _way(paid: "asking.Ask") -> "Ask":
    """How a question reaches its model."""
    from fastchat.data.distilling.teaching import Question, Said
    from fastchat.llm_judge.asking import Call

    async def ask(question: Question) -> Said:
        messages = tuple({"role": one["role"], "content": one["content"]} for one in question.messages)
        call = Call(question.model, messages, question.temperature, question.max_tokens, question.seed)
        reply = await paid(call)
        return Said(reply.text, reply.finish_reason)

    return ask


def _end(target: Path, count: int, wanted: int, tally: "Tally", budget: "Budget", notebook: "Notebook") -> int:
    print(f"{count:,} of {wanted:,} conversations are in {target}; ${budget.spending.usd:.4f} were spent on them.")
    if budget.spending.unpriced_calls:
        print(
            f"Calls of models without a known price: {budget.spending.unpriced_calls:,} of {budget.spending.calls:,}."
        )
    if tally.is_cut_short:
        print("The budget does not suffice for the rest. With a higher --budget the same line goes on.")
    if tally.failed:
        print(f"Failed: {tally.failed:,}. Why stands in {notebook.folder / 'failures.jsonl'}:")
        for reason, times in notebook.reasons().most_common(5):
            print(f"{times:>7,}  {reason}")
        print("The same line asks for them again; what was cut off needs a higher --max-tokens.")
    return 0 if count == wanted else 1
