import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe

from fastchat.commands import compute_agreement
from fastchat.core.errors import InvalidRequest, SetupError
from fastchat.llm_judge.files import append_row, read_rows
from fastchat.llm_judge.matches import Mode
from fastchat.llm_judge.records import PairVerdict, SingleVerdict
from fastchat.llm_judge.results import show
from fastchat.llm_judge.site.app import OwnHosts, bench_app
from fastchat.llm_judge.site.current import CurrentSite
from fastchat.llm_judge.site.grading import Grading
from tests.llm_judge.rows import answer, question
from tests.web.conftest import browser

__all__ = ["browser"]
SINGLE, PAIR = "model_judgment/ann_single.jsonl", "model_judgment/ann_pair.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two models' answers to a question of two turns and to one of one turn; nobody has judged."""
    root = tmp_path / "mine"
    append_row(root / "question.jsonl", question(81, reference=("Red is one.",)))
    append_row(root / "question.jsonl", question(82, "What is 1 + 1?", category="math"))
    append_row(root / "reference_answer" / "gpt-4.jsonl", answer("gpt-4", "It is 2.", question_id=82))
    for model in ("m1", "m2"):
        append_row(root / "model_answer" / f"{model}.jsonl", answer(model))
        append_row(root / "model_answer" / f"{model}.jsonl", answer(model, f"{model}: 2", question_id=82))
    return root


@pytest_asyncio.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = OwnHosts(bench_app(CurrentSite(folder, can_grade=True).site, Grading(folder, "ann")), "127.0.0.1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:7860") as client:
        yield client


async def token(client: httpx.AsyncClient) -> str:
    found = re.search(r'name="token" value="([^"]+)"', (await client.get("/grade/1")).text)
    assert found
    return found[1]


async def grade(client: httpx.AsyncClient, place: int, **fields: Any) -> httpx.Response:
    return await client.post(f"/grade/{place}", data={"token": await token(client), **fields})


def scores(folder: Path) -> list[tuple[str, int | str, int, float, str]]:
    rows = read_rows(folder / SINGLE, SingleVerdict)
    return [(row.model, row.question_id, row.turn, row.score, row.judgment) for row in rows]


async def test_a_grade_is_a_line_of_the_judges_file(folder: Path, client: httpx.AsyncClient) -> None:
    first = await client.get("/grade/next")
    assert first.headers["location"] == "1"
    page = (await client.get("/grade/1")).text
    model = re.search(r"<article><h2><bdi>(m\d)", page)
    assert model
    assert "0 of 6 graded by ann" in page
    assert "Red is one." in page
    reply = await grade(client, 1, choice="7", reason=" Short,\r\nbut right. ")
    assert (reply.status_code, reply.headers["location"]) == (303, "next?after=1")
    assert scores(folder) == [(model[1], 81, 1, 7.0, "Short,\nbut right.")]
    assert read_rows(folder / SINGLE, SingleVerdict)[0].judge == ("ann", "human")
    assert "Reference of <bdi>gpt-4</bdi></summary>" in (await client.get("/grade/6")).text
    page = (await client.get("/grade/1")).text
    assert "1 of 6 graded by ann" in page
    assert 'value="7" data-key="7" required checked' in page
    assert "but right.</textarea>" in page
    assert (await client.get("/grade/next?after=1")).headers["location"] == "2"


async def test_who_changes_their_mind_adds_a_line_and_the_last_counts(folder: Path, client: httpx.AsyncClient) -> None:
    for choice in ("2", "9"):
        await grade(client, 1, choice=choice)
    assert [score for *_, score, _ in scores(folder)] == [2.0, 9.0]
    assert "Scores by ann" in (await client.get("/")).text
    assert show(folder).judges[0].scores.models[0].score.value == 9
    Grading(folder, "ann").settle()
    assert [score for *_, score, _ in scores(folder)] == [9.0]


async def test_all_graded(folder: Path, client: httpx.AsyncClient) -> None:
    for place in range(1, 7):
        await grade(client, place, choice=str(place))
    page = (await client.get("/grade/next")).text
    assert "All graded" in page
    assert "6 of 6 graded by ann" in page
    report = show(folder)
    assert report.judges[0].judge == "ann"
    assert report.judges[0].scores.questions == 2
    assert not report.judges[0].failures


@pytest.mark.parametrize(
    ("changed", "headers", "status"),
    [
        ({"token": "guessed"}, {}, 403),
        ({}, {"origin": "http://evil.example"}, 403),
        ({}, {"host": "evil.example"}, 421),
        ({"choice": "11"}, {}, 400),
        ({"choice": ""}, {}, 400),
        ({"reason": "x" * 20_001}, {}, 413),
        ({"reason": "x" * 300_000}, {}, 413),
        ({}, {"content-type": "text/plain"}, 415),
    ],
)
async def test_nothing_else_is_written(
    folder: Path, client: httpx.AsyncClient, changed: dict[str, str], headers: dict[str, str], status: int
) -> None:
    fields = {"token": await token(client), "choice": "5"} | changed
    reply = await client.post("/grade/1", data=fields, headers=headers)
    assert reply.status_code == status
    assert not (folder / SINGLE).exists()


@pytest.mark.parametrize("path", ["/grade/0", "/grade/7", "/grade/x"])
async def test_there_are_no_other_places(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_a_blind_pair_has_no_names_and_drawn_sides(folder: Path) -> None:
    grading = Grading(folder, "ann", Mode.PAIRWISE_ALL, is_blind=True)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(bench_app(None, grading)), base_url="http://127.0.0.1"
    ) as client:
        assert (await client.get("/")).headers["location"] == "grade/next"
        assert (await client.get("/index.html")).status_code == 404
        page = (await client.get("/grade/3")).text
        assert "m1</bdi>" not in page
        assert page.index(f"{grading.tasks[2].models[0]}: 2") < page.index(f"{grading.tasks[2].models[1]}: 2")
        for place in (1, 2, 3):
            await grade(client, place, choice="A")
    rows = read_rows(folder / PAIR, PairVerdict)
    assert [(row.model_1, row.g1_winner, row.g2_winner) for row in rows] == [
        (task.models[0], "model_1", "model_1") for task in grading.tasks
    ]
    drawn = {Grading(folder, name, Mode.PAIRWISE_ALL).tasks[0].models for name in ("a", "b", "c", "d", "e", "f")}
    assert len(drawn) == 2
    shown = CurrentSite(folder).site().page("questions/0001.html") or ""
    assert f"<b><bdi>{grading.tasks[0].models[0]}</bdi> wins</b></summary>" in shown
    assert "By hand" in shown
    assert shown.count("<p>A <bdi>") == 2  # one a turn
    board = show(folder).judges[0].pairs
    assert board.position is None  # seen once, which tells nothing of the order
    assert board.order_effect.value > 0  # over all pairs it does


def test_people_are_compared_with_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, choice in (("ann", "tie"), ("bob", "tie")):
        grading = Grading(folder, name, Mode.PAIRWISE_ALL)
        for at in range(len(grading.tasks)):
            grading.grade(at, choice, "")
    assert [each.kinds for each in show(folder).agreements] == [("human", "human")]
    files = [str(folder / "model_judgment" / f"{name}_pair.jsonl") for name in ("ann", "bob")]
    compute_agreement.main(["--judges", "human", "human", "--votefiles", *files])
    assert "turn 1 with tie. #total: 2, #agree: 2, ratio: 1.00" in capsys.readouterr().out


def test_grades_put_a_judge_right(folder: Path) -> None:
    for model, score in (("m1", 3), ("m2", 8)):
        for at in (81, 82):
            row = SingleVerdict(
                question_id=at, model=model, judge=("j", "single-v1"), user_prompt="", judgment="", score=score
            )
            append_row(folder / "model_judgment" / "j_single.jsonl", row)
    grading = Grading(folder, "ann", Mode.PAIRWISE_ALL)
    for at, task in enumerate(grading.tasks):
        grading.grade(at, "A" if task.models[0] == "m1" else "B", "")
    of_ann, of_judge = show(folder).judges
    assert of_ann.calibrated == ()
    assert [(row.model, row.judge.value, row.people.value) for row in of_judge.calibrated] == [
        ("m1", 0.0, 1.0),
        ("m2", 1.0, 0.0),
    ]


def test_what_was_graded_between_is_seen(folder: Path) -> None:
    one, other = Grading(folder, "ann"), Grading(folder, "ann")
    one.grade(0, "5", "")
    assert other.next_of(other.graded()) == 1
    with pytest.raises(InvalidRequest, match="it is one of 1, 2"):
        one.grade(1, "0", "")


@pytest.mark.parametrize("name", ["", " ", "a/b", "..", "a\nb", "x" * 81])
def test_a_name_becomes_a_file(folder: Path, name: str) -> None:
    with pytest.raises(SetupError, match="it becomes the name of a file"):
        Grading(folder, name)


def test_nobody_grades_in_a_models_name(folder: Path) -> None:
    row = SingleVerdict(question_id=81, model="m1", judge=("j", "single-v1"), user_prompt="", judgment="", score=1)
    append_row(folder / "model_judgment" / "j_single.jsonl", row)
    for mode in (Mode.SINGLE, Mode.PAIRWISE_ALL):
        with pytest.raises(SetupError, match="holds verdicts of j by 'single-v1'"):
            Grading(folder, "j", mode)


def test_nothing_to_grade(folder: Path) -> None:
    with pytest.raises(SetupError, match="pairwise-baseline compares each model"):
        Grading(folder, "ann", Mode.PAIRWISE_BASELINE)
    with pytest.raises(SetupError, match="There is nothing to grade"):
        Grading(folder / "nowhere", "ann")
    with pytest.raises(SetupError, match="There is nothing to grade"):
        Grading(folder, "ann", Mode.PAIRWISE_BASELINE, baseline="m3")


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_a_person_grades_with_the_keyboard(folder: Path, browser: Any) -> None:
    door = [sys.executable, "-m", "fastchat", "bench", "browse", str(folder), "--port", "0"]
    flags = ["--grade", "--as", "ann", "--mode", "pairwise-all", "--blind"]
    process = await asyncio.create_subprocess_exec(*door, *flags, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    try:
        await process.stdout.readline()
        address = (await process.stdout.readline()).decode().split()[-1]
        page = await browser.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        await page.goto(address)
        await page.keyboard.press("b")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/grade/2")
        await page.keyboard.press("t")
        await page.get_by_label("Reason").fill("They are the same.")
        await page.keyboard.press("Control+Enter")
        await page.wait_for_url("**/grade/3")
        await page.keyboard.press("p")
        await page.wait_for_url("**/grade/2")
        assert await page.get_by_label("Tie").is_checked()
        assert (await Axe().run(page)).response["violations"] == []
        await page.close()
        assert problems == []
    finally:
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    rows = read_rows(folder / PAIR, PairVerdict)
    assert [(row.g1_winner, row.g1_judgment) for row in rows] == [("model_2", ""), ("tie", "They are the same.")]
