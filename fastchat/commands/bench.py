"""`fastchat bench`: models answer questions, judges grade them, and a folder holds all of it in FastChat's files.

As before `python3 -m fastchat.llm_judge.gen_model_answer`, `gen_api_answer` and `gen_judgment`, whose flags are
understood here; with `--bench-name NAME` the folder is FastChat's `data/NAME`.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic_settings import NoDecode, SettingsConfigDict

from fastchat.commands.bench_anchors import AnchorSettings, anchors
from fastchat.commands.bench_check import CheckSettings, check, check_folder
from fastchat.commands.bench_compare import CompareSettings, compare
from fastchat.commands.bench_copies import starting
from fastchat.commands.bench_judging import JudgingSettings
from fastchat.commands.bench_progress import ProgressBars, begin, end, tell_kin
from fastchat.commands.bench_results import CombineSettings, ShowSettings, combine, print_report, show
from fastchat.commands.bench_site import BrowseSettings, ExportSettings, browse, export, open_site
from fastchat.commands.bench_static import StaticSettings, static
from fastchat.commands.bench_suites import CertifySettings, NewSettings, VerifySettings, certify, new, verify
from fastchat.core.actions import Action, run_action
from fastchat.core.errors import SetupError
from fastchat.core.settings import setting
from fastchat.llm_judge.settings import SessionSettings

if TYPE_CHECKING:
    from fastchat.llm_judge.answering import Manner
    from fastchat.llm_judge.evaluation import MatchMaking
    from fastchat.llm_judge.session import Session

_OURS = "fastchat_bench"
_DATA = Path("data")  # where FastChat's commands look


def _names(value: object) -> object:
    """Written with commas, with spaces, or both."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        return given
    return tuple(name.strip() for item in given for name in str(item).split(",") if name.strip())


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]


class _BenchSettings(SessionSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    questions: str | None = setting(
        None,
        "name of a set, or a file or folder of questions (default: ours, or those in the folder)",
        metavar="NAME|FILE",
    )
    output: Path | None = setting(None, "folder of answers and judgments (default: data/NAME)", metavar="DIR")
    bench_name: str | None = setting(None, "FastChat's flag: the questions and the folder data/NAME")
    models: Names = setting(
        (),
        "who is evaluated: served, or loaded here by path (default: all that are served, else the built-in model)",
        "--model",
        "--model-list",
        nargs="+",
        metavar="A,B",
    )
    question_begin: NonNegativeInt | None = setting(None, "first question, counted from 0", metavar="N")
    question_end: NonNegativeInt | None = setting(None, "the one before which to stop", metavar="N")
    first_n: PositiveInt | None = setting(None, "only so many questions", metavar="N")


class _AnsweringSettings(_BenchSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    num_choices: PositiveInt = setting(1, "answers to each question; the first is judged", metavar="N")
    temperature: NonNegativeFloat | None = setting(
        None, "for all questions (default: by category, 0 where there is one truth)", "--force-temperature", metavar="T"
    )
    max_tokens: PositiveInt = setting(1024, "longest answer", "--max-new-token", "--max-new-tokens", metavar="N")


class AnswerSettings(_AnsweringSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    answer_file: Path | None = setting(None, "write the answers of the one model here")


class JudgeSettings(_BenchSettings, JudgingSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    judge: Names = setting(
        (), "who judges; several judge one after the other", "--judge-model", nargs="+", metavar="A,B"
    )
    mode: Literal["single", "pairwise-baseline", "pairwise-all", "list"] = setting(
        "single", "grade each answer, compare each with the baseline's, all with one another, or rank all at once"
    )
    baseline: str | None = setting(None, "whom to compare with", "--baseline-model", metavar="MODEL")


class RunSettings(_AnsweringSettings, JudgeSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    opens: bool = setting(False, "also write the result as pages, to DIR/site, and open them in a browser", "--open")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if argv is None else argv)
    actions = {
        "run": Action(RunSettings, _run, "have models answer questions, judge the answers, and show the result"),
        "answer": Action(AnswerSettings, _answer, "only have models answer"),
        "judge": Action(JudgeSettings, _judge, "only judge answers that are there"),
        "check": Action(CheckSettings, check, "run the programs that models answered, against the set's checks"),
        "show": Action(ShowSettings, show, "show what judgments say, with intervals"),
        "compare": Action(CompareSettings, compare, "tell what another judge, other prompts or another run change"),
        "anchors": Action(
            AnchorSettings, anchors, "find out whether a judge has drifted, by answers that stay the same"
        ),
        "browse": Action(BrowseSettings, browse, "read questions, answers and judgments in a browser"),
        "export": Action(ExportSettings, export, "write them as pages that stand alone"),
        "combine": Action(CombineSettings, combine, "make one judge of several: mean, majority or Dawid-Skene"),
        "static": Action(
            StaticSettings, static, "ask a model the questions of benchmarks such as MMLU, through lm-eval"
        ),
        "new": Action(NewSettings, new, "begin a set of questions of your own"),
        "certify": Action(CertifySettings, certify, "sign a suite of questions, or results on it"),
        "verify": Action(VerifySettings, verify, "find out whether a suite or results are what was signed"),
    }
    run_action("fastchat bench", "Evaluate models with questions and judges.", actions, arguments)


# run, answer and judge: 1 if something is left to do


async def _run(settings: RunSettings) -> int:
    from fastchat.llm_judge.suites.checking import is_checked

    wanted = [*settings.models, *settings.judge, *([settings.baseline] if settings.baseline else [])]
    async with _opened(settings, wanted) as session:
        models = session.names(settings.models) or session.reach.contestants
        judges = session.names(settings.judge)
        runs_answers = is_checked(session.folder.root)
        if not judges and not runs_answers and (settings.models or session.reach.served):
            raise SetupError(f"--judge is missing: who grades the answers? Served: {', '.join(session.reach.served)}.")
        if not judges and not runs_answers:
            judges = list(models)  # nothing was named, nothing is served: the built-in model by itself
        baseline = session.name(settings.baseline) if settings.baseline else None
        making = _making(settings, models, baseline)
        manner = _manner(settings)
        making.check()
        begin(session, session.plan(making.answering, manner, making, judges))
        answers = await session.answer(making.answering, manner)
        if runs_answers:
            await check_folder(session.folder, making.answering)
        if judges and not answers.is_cut_short:
            await session.judge(making, judges, settings.judge_manner(), only_answered=True)
        left = session.plan(making.answering, manner, making, judges)
        end(session, left)
        tell_kin(judges, making.answering)
    if runs_answers or any((session.folder.root / "model_judgment").glob("*.jsonl")):
        print_report(session.folder.root)
        if settings.opens:
            open_site(session.folder.root)
    return 1 if left.calls else 0


async def _answer(settings: AnswerSettings) -> int:
    if settings.answer_file and len(settings.models) > 1:
        raise SetupError("--answer-file takes the answers of one model, but --models names several.")
    async with _opened(settings, settings.models, answer_file=settings.answer_file) as session:
        models = session.names(settings.models) or session.reach.contestants
        manner = _manner(settings)
        begin(session, session.plan(models, manner, None, ()))
        await session.answer(models, manner)
        left = session.plan(models, manner, None, ())
        end(session, left)
    return 1 if left.calls else 0


async def _judge(settings: JudgeSettings) -> int:
    if not settings.judge:
        raise SetupError("--judge is missing: who grades the answers?")
    async with _opened(settings, settings.judge) as session:
        models = list(dict.fromkeys(settings.models)) or session.folder.models
        making = _making(settings, models, settings.baseline)
        judges = session.names(settings.judge)
        making.check()
        begin(session, session.plan((), None, making, judges))
        await session.judge(making, judges, settings.judge_manner(), only_answered=False)
        left = session.plan((), None, making, judges)
        end(session, left)
        tell_kin(judges, making.answering)
    return 1 if left.calls else 0


@asynccontextmanager
async def _opened(
    settings: _BenchSettings, wanted: Sequence[str], *, answer_file: Path | None = None
) -> "AsyncIterator[Session]":
    from fastchat.llm_judge.folder import BenchFolder
    from fastchat.llm_judge.questions import read_questions
    from fastchat.llm_judge.session import open_session
    from fastchat.llm_judge.suites.checking import keep_checks

    named = _DATA / settings.bench_name if settings.bench_name else None
    root = settings.output or named
    kept = root / "question.jsonl" if root else None
    source = settings.questions or (str(kept) if kept and kept.is_file() else settings.bench_name or _OURS)
    asked = read_questions(source)
    chosen = read_questions(source, begin=settings.question_begin, end=settings.question_end, first_n=settings.first_n)
    folder = BenchFolder(root or _DATA / asked.name, answer_file=answer_file)
    start = starting(settings)
    async with open_session(settings, folder, asked, chosen.questions, wanted, ProgressBars(), start) as session:
        keep_checks(folder.root, Path(asked.source))
        yield session


def _making(settings: JudgeSettings, models: Sequence[str], baseline: str | None) -> "MatchMaking":
    from fastchat.llm_judge.evaluation import MatchMaking
    from fastchat.llm_judge.matches import Mode

    return MatchMaking(Mode(settings.mode), models, settings.prompts(), baseline)


def _manner(settings: _AnsweringSettings) -> "Manner":
    from fastchat.llm_judge.answering import Manner

    return Manner(settings.num_choices, settings.temperature, settings.max_tokens)
