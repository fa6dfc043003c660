"""One run of verdicts in a process of its own, so that its peak of memory is its own; prints what it took as JSON.

    python -m benchmarks.judge_runner NUMBER [URL]

Without a URL the judge is a function that answers at once, so what is left is the runner: prompts, cache, retries,
ledger, parsing, files.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.judge_endpoint import MODEL, VERDICT
from benchmarks.servers import ROOT
from fastchat.llm_judge.asking import Ask, Call, Reply
from fastchat.llm_judge.budget import Budget
from fastchat.llm_judge.cache import Cache, cached
from fastchat.llm_judge.evaluation import MatchMaking, get_verdicts
from fastchat.llm_judge.files import encode
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.judging import JudgeManner
from fastchat.llm_judge.matches import Mode
from fastchat.llm_judge.places import Parallel
from fastchat.llm_judge.prices import PriceList
from fastchat.llm_judge.prompts import read_prompts
from fastchat.llm_judge.questions import read_questions
from fastchat.llm_judge.records import Answer, Choice
from fastchat.llm_judge.running import retrying
from fastchat.llm_judge.settings import ReachSettings

PARALLEL = 256
_PLANNED = 20_000  # what could be judged, however little of it is: the memory of a run is to be told from its data's
_ANSWER = "An answer of some length, as models give it. " * 20


async def _main(number: int, url: str | None) -> None:
    (ROOT / ".cache").mkdir(exist_ok=True)
    with TemporaryDirectory(dir=ROOT / ".cache", prefix="judge-") as folder:
        async with _judge(url) as ask:
            print(json.dumps(await _measured(Path(folder), number, ask)))


@asynccontextmanager
async def _judge(url: str | None) -> AsyncIterator[Ask]:
    if url is None:
        yield _at_once
    else:
        async with ReachSettings(api_url=url).open_reach([MODEL]) as reach:
            yield reach.ask


async def _at_once(_: Call) -> Reply:
    await asyncio.sleep(0)
    return Reply(VERDICT, 500, 50)


async def _measured(root: Path, number: int, ask: Ask) -> dict[str, float]:
    """As many models as it takes have answered our questions, each with two turns."""
    questions = read_questions("fastchat_bench").questions
    turns = sum(len(question.turns) for question in questions)
    models = [f"model-{at}" for at in range(-(-_PLANNED // turns))]
    (root / "model_answer").mkdir()
    for model in models:
        rows = (_answer(model, question.question_id, len(question.turns)) for question in questions)
        (root / "model_answer" / f"{model}.jsonl").write_bytes(b"".join(map(encode, rows)))
    making, folder = MatchMaking(Mode.SINGLE, models, read_prompts()), BenchFolder(root)
    matches = making.matches(folder, questions, MODEL)[:number]
    with Budget(PriceList.read(), root, None).ledger() as paid, Cache(root / ".cache") as cache:
        paying = paid(retrying(ask))
        before_mb, cpu, wall = _rss_mb(), time.process_time(), time.perf_counter()
        tally = await get_verdicts(
            folder,
            matches,
            cached(paying, cache),
            cached(paying, cache, afresh=True),
            making,
            lambda _: JudgeManner(),
            parallel=Parallel(PARALLEL),
            tell=lambda _: None,
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert (tally.done, tally.failed) == (number, 0)
    return {"per_s": number / wall, "cpu_us": 1e6 * cpu / number, "before_mb": before_mb, "peak_mb": _peak_mb()}


def _answer(model: str, question: int | str, turns: int) -> Answer:
    said = tuple(f"{model}: {_ANSWER}" for _ in range(turns))
    return Answer(question_id=question, answer_id="", model_id=model, choices=(Choice(turns=said),), tstamp=0)


def _rss_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


def _peak_mb() -> float:
    """Of this program; what `getrusage` tells begins with the process that started it. Linux; elsewhere, as of now."""
    status = Path("/proc/self/status")
    if not status.exists():
        return _rss_mb()
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
