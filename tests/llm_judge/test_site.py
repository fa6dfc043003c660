import asyncio
import re
import signal
import sys
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from fastchat.commands import bench
from fastchat.core.errors import SetupError
from fastchat.core.serving import Listener
from fastchat.llm_judge.files import append_row
from fastchat.llm_judge.records import Failure, PairVerdict, SingleVerdict
from fastchat.llm_judge.site.app import OwnHosts, bench_app
from fastchat.llm_judge.site.current import CurrentSite
from fastchat.llm_judge.site.pages import write_site
from fastchat.llm_judge.site.reading import read_bench
from tests.llm_judge.rows import answer, question

HOSTILE = """</div></script><script>alert(1)</script><img src="https://evil.example/x" onerror='alert(2)'>&lt;"""
NAME = '"><b onclick="alert(3)">m</b>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two models and two questions; m1's answer to the second is missing."""
    root = tmp_path / "mine"
    append_row(root / "question.jsonl", question(81, reference=("Red is one.",)))
    append_row(root / "question.jsonl", question("b/../2", "What is 1 + 1?", category="math"))
    for model in ("m1", "m2"):
        append_row(root / "model_answer" / f"{model}.jsonl", answer(model))
    append_row(root / "model_answer" / "m2.jsonl", answer("m2", "It is 2.", question_id="b/../2"))
    for model, score in (("m1", 3), ("m2", 8)):
        append_row(root / "model_judgment" / "j_single.jsonl", single(model, score))
    append_row(root / "model_judgment" / "j_pair.jsonl", pair("model_2", "tie"))
    failure = Failure(question_id=81, models=("m1",), judge=("j", "p"), turn=2, reason="no rating in it")
    append_row(root / "model_judgment" / "j_failures.jsonl", failure)
    return root


def single(model: str, score: float, judgment: str = "Because.", question_id: int | str = 81) -> SingleVerdict:
    return SingleVerdict(
        question_id=question_id,
        model=model,
        judge=("j", "single-v1"),
        user_prompt=f"Rate {model}.",
        judgment=judgment,
        score=score,
    )


def pair(first: str, second: str) -> PairVerdict:
    return PairVerdict(
        question_id=81,
        model_1="m1",
        model_2="m2",
        g1_winner=first,
        g2_winner=second,
        judge=("j", "pair-v2"),
        g1_judgment="B is better.",
        g2_judgment="Both are fine.",
        g1_user_prompt="Which?",
    )


class _Elements(HTMLParser):
    """Whatever could run or be fetched, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"] and self.tags[-1:] != ["script"]:
            self.text += data


def export(folder: Path, output: Path) -> None:
    bench.main(["export", str(folder), "--output", str(output)])


def text(file: Path) -> str:
    return _Elements(file.read_text("utf-8")).text


def test_the_first_page_has_results_and_links_to_questions(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(folder, tmp_path / "out")
    assert f"{tmp_path / 'out' / 'index.html'}: written, 4 pages" in capsys.readouterr().out
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    said = _Elements(page).text
    assert "2 questions, 2 models, 1 judge." in said
    assert "Scores by j" in said
    assert "Wins by j" in said
    assert "m1 3.0" in said
    assert "m2 8.0" in said
    assert re.findall(r'href="(questions/[^"]+)"', page) == ["questions/0001.html", "questions/0002.html"]
    assert 'data-category="math" data-models="1"' in page  # m1 has nothing to do with it


def test_a_question_shows_answers_verdicts_and_references(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "out")
    said = text(tmp_path / "out" / "questions" / "0001.html")
    in_order = ("Turn 1", "Name a colour.", "Red is one.", "m1 says red.", "Why j gives 3", "m2 says red.", "Compared")
    assert [said.find(each) for each in in_order] == sorted(said.find(each) for each in in_order)
    assert -1 not in [said.find(each) for each in in_order]
    assert "m1 and m2, j: tie, as the two games differ" in said
    assert "A m1, B m2: m2 winsB is better." in said
    assert "A m2, B m1: tieBoth are fine." in said
    assert said.find("No verdict of j on m1: no rating in it") > said.find("m1 says blue.") > said.find("Turn 2")
    assert "Which?" not in said  # the answers in that prompt stand above


def test_a_pair_is_won_in_both_orders_only(folder: Path, tmp_path: Path) -> None:
    append_row(folder / "model_judgment" / "j_pair.jsonl", pair("model_2", "model_2"))
    export(folder, tmp_path / "out")
    assert "m1 and m2, j: m2 wins in both orders" in text(tmp_path / "out" / "questions" / "0001.html")


def test_what_the_judge_read_stands_in_for_answers_that_are_missing(folder: Path, tmp_path: Path) -> None:
    (folder / "model_answer" / "m1.jsonl").unlink()
    (folder / "question.jsonl").unlink()
    export(folder, tmp_path / "out")
    said = text(tmp_path / "out" / "questions" / "0001.html")
    assert "The question is not in the folder." in said
    assert "The answer is not in the folder." in said
    assert "What the judge readRate m1." in said
    assert "Rate m2." not in said
    assert "What the judge readWhich?" in said


def test_answers_can_be_read_before_they_are_judged(folder: Path, tmp_path: Path) -> None:
    for file in (folder / "model_judgment").iterdir():
        file.unlink()
    export(folder, tmp_path / "out")
    assert "Nothing is judged yet." in text(tmp_path / "out" / "index.html")
    assert "m1 says red." in text(tmp_path / "out" / "questions" / "0001.html")


def test_what_others_wrote_is_only_text(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    asked = question(HOSTILE, HOSTILE, category=HOSTILE, reference=(HOSTILE,))
    append_row(root / "question.jsonl", asked)
    append_row(root / "model_answer" / "m.jsonl", answer("m", HOSTILE, question_id=HOSTILE))
    hostile = single(NAME, 5, HOSTILE, HOSTILE)
    append_row(root / "model_judgment" / "j_single.jsonl", hostile.model_copy(update={"judge": (NAME, NAME)}))
    append_row(root / "model_judgment" / "j_single.jsonl", single("m", 5, HOSTILE, HOSTILE))
    export(root, tmp_path / "out")
    for file in (tmp_path / "out" / "index.html", tmp_path / "out" / "questions" / "0001.html"):
        found = _Elements(file.read_text("utf-8"))
        assert HOSTILE in found.text
        assert NAME in found.text
        assert found.tags.count("script") == 1
        assert "img" not in found.tags
        assert not [name for name, _ in found.attributes if name.startswith("on") or name == "src"]
        assert all(not value.startswith(("http", "//")) for name, value in found.attributes if name == "href")


def test_pages_of_questions_that_are_no_more_are_removed(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    export(folder, output)
    (output / "questions" / "notes.html").write_text("mine")
    answers = folder / "model_answer" / "m2.jsonl"
    answers.write_text(answers.read_text().splitlines()[0] + "\n")
    questions = folder / "question.jsonl"
    questions.write_text(questions.read_text().splitlines()[0] + "\n")
    assert write_site(read_bench(folder), output) == 3
    assert sorted(file.name for file in (output / "questions").iterdir()) == ["0001.html", "notes.html"]


def calling(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:7860")


@pytest.fixture
def exported(folder: Path, tmp_path: Path) -> Path:
    export(folder, tmp_path / "out")  # in no loop: a command makes one
    return tmp_path / "out"


async def test_the_same_pages_are_served(folder: Path, exported: Path) -> None:
    async with calling(bench_app(CurrentSite(folder).site)) as client:
        for path, file in (("/", "index.html"), ("/index.html?x=1", "index.html"), *[("/questions/0002.html",) * 2]):
            reply = await client.get(path)
            assert reply.content == (exported / file.removeprefix("/")).read_bytes()
            assert reply.headers["content-type"] == "text/html; charset=utf-8"


def test_pages_follow_the_files(folder: Path) -> None:
    site = CurrentSite(folder).site
    append_row(folder / "model_judgment" / "k_single.jsonl", single("m1", 7).model_copy(update={"judge": ("k", "p")}))
    assert "Scores by k" in (site().page("index.html") or "")
    (folder / "model_judgment" / "k_single.jsonl").write_text("{}\n")
    assert "Scores by k" in (site().page("index.html") or "")  # as it was


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/questions/0003.html", 404),
        ("GET", "/%2e%2e/question.jsonl", 404),
        ("GET", "/grade/next", 404),
        ("POST", "/", 405),
        ("PUT", "/", 405),
    ],
)
async def test_nothing_else_is_served(folder: Path, method: str, path: str, status: int) -> None:
    async with calling(bench_app(CurrentSite(folder).site)) as client:
        assert (await client.request(method, path)).status_code == status


@pytest.mark.parametrize(
    ("named", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost:7860", 200),
        ("[::1]:7860", 200),
        ("bench.local", 200),
        ("192.168.0.7", 200),
        ("evil.example:7860", 421),
        ("", 421),
    ],
)
async def test_names_of_others_are_refused(folder: Path, named: str, status: int) -> None:
    async with calling(OwnHosts(bench_app(CurrentSite(folder).site), "bench.local")) as client:
        assert (await client.get("/", headers={"host": named})).status_code == status


def test_a_port_that_is_taken(folder: Path) -> None:
    taken = Listener("127.0.0.1", 0)
    taken.socket.listen()
    with pytest.raises(SetupError, match=r"Cannot listen on 127.0.0.1:.*Address already in use"):
        bench.main(["browse", str(folder), "--port", str(taken.port)])
    taken.socket.close()


@pytest.fixture
def data(folder: Path) -> Path:
    """FastChat's."""
    (folder.parent / "data").mkdir()
    return folder.rename(folder.parent / "data" / "mine").parent


async def test_the_old_door_serves_until_it_is_interrupted(data: Path) -> None:
    door = [sys.executable, "-m", "fastchat.llm_judge.qa_browser", "--bench-name", "mine", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*door, cwd=data.parent, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    try:
        line = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(found[0]).read())
        assert b"2 questions" in page
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export"], "fastchat bench export DIR --output FOLDER"),
        (["browse"], "fastchat bench browse DIR"),
        (["browse", "--share"], "--share: there is no public link here"),
        (["browse", "nowhere", "--as", "ann"], "--as: only for grading. Add --grade."),
        (["browse", "nowhere", "--grade"], "Who grades?"),
        (["browse", "nowhere"], "There is no answer and no judgment in 'nowhere'"),
    ],
)
def test_what_is_missing_is_said(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError, match=re.escape(told)):
        bench.main(arguments)


def test_pages_of_others_are_left(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("my own page")
    with pytest.raises(SetupError, match="no page of ours"):
        write_site(read_bench(folder), tmp_path)
    assert [file.name for file in tmp_path.rglob("*.html")] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "my own page"
