"""`fastchat bench anchors`: whether a judge still grades as it did."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pydantic_settings import SettingsConfigDict

from fastchat.commands.bench_copies import starting
from fastchat.commands.bench_judging import JudgingSettings
from fastchat.commands.bench_progress import ProgressBars
from fastchat.core.errors import SetupError
from fastchat.core.settings import setting

if TYPE_CHECKING:
    from fastchat.llm_judge.anchors import Graded


class AnchorSettings(JudgingSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    judge: str | None = setting(None, "who is asked", "--judge-model", metavar="MODEL")
    record: Path | None = setting(None, "keep the grades in this file, for later", metavar="FILE")
    against: Path | None = setting(None, "compare with the grades that were kept in this file", metavar="FILE")
    is_json: bool = setting(False, "as JSON", "--json")


async def anchors(settings: AnchorSettings) -> int:
    """1 if the judge has drifted, or some anchor has no grade."""
    if settings.judge is None:
        raise SetupError("Which judge? fastchat bench anchors --judge MODEL")
    from fastchat.llm_judge.anchors import check_free, read_anchors, read_grades, write_grades
    from fastchat.llm_judge.results.drift import drift, drift_tables
    from fastchat.llm_judge.results.rendering import text

    if settings.record is not None:
        check_free(settings.record)
    before = None if settings.against is None else read_grades(settings.against)
    judge, graded = await _graded(settings, settings.judge)
    if settings.record is not None and graded.grades:
        write_grades(settings.record, graded.grades)
    found = drift(judge, read_anchors(), graded, before)
    print(found.json() if settings.is_json else text(drift_tables(found)), end="\n" if settings.is_json else "")
    return 1 if found.has_drifted or len(graded.grades) < len(found.changes) else 0


async def _graded(settings: AnchorSettings, wanted: str) -> "tuple[str, Graded]":
    """What the judge is called, and its grades. A cache would give those of before."""
    from fastchat.llm_judge.anchors import as_questions, grade, read_anchors
    from fastchat.llm_judge.folder import BenchFolder
    from fastchat.llm_judge.session import open_session

    asked = as_questions(read_anchors())
    uncached = settings.model_copy(update={"caching": False})
    with TemporaryDirectory() as scratch:
        folder = BenchFolder(Path(scratch))
        start = starting(uncached)
        async with open_session(uncached, folder, asked, asked.questions, [wanted], ProgressBars(), start) as session:
            judge = session.name(wanted)
            found = await grade(session, read_anchors(), judge, settings.prompts(), settings.judge_manner())
    return judge, found
