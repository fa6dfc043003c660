import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fastchat.commands import bench
from fastchat.core.errors import SetupError
from fastchat.llm_judge.budget import read_spending
from fastchat.llm_judge.folder import BenchFolder
from tests.llm_judge.endpoint import Endpoint, serving
from tests.stack.system import System, until

QUESTIONS = 6
TURNS = 2
ANSWERS = 2 * QUESTIONS * TURNS  # calls, of two models
PRICES = '[[price]]\nmatch = "*"\ninput = 1000\noutput = 1000\n'  # two cents for a reply of 10 and 10 tokens


def say(body: Mapping[str, Any]) -> str:
    """Contestants say who they are; the judge likes m2 better, and m1's answer to question 3 leaves it speechless."""
    if body["model"] != "judge":
        return f"I am {body['model']}. {body['messages'][-1]['content']}"
    prompt = body["messages"][-1]["content"]
    return "…" if "I am m1. Question 3?" in prompt else "Fine. [[8]]" if "I am m2." in prompt else "Well. [[5]]"


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving(Endpoint(say, ("m1", "m2", "judge"))) as running:
        yield running


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "asked.jsonl"
    write(file, "Why?")
    return file


@pytest.fixture
def data(tmp_path: Path, questions: Path) -> Path:
    """FastChat's."""
    folder = tmp_path / "data" / "mt_bench"
    folder.mkdir(parents=True)
    questions.rename(folder / "question.jsonl")
    return folder.parent


def write(file: Path, second_turn: str) -> None:
    lines = [
        json.dumps({"question_id": number, "category": "writing", "turns": [f"Question {number}?", second_turn]})
        for number in range(1, QUESTIONS + 1)
    ]
    file.write_text("\n".join(lines) + "\n")


def run_line(endpoint: Endpoint, questions: Path, folder: Path, *more: str) -> list[str]:
    asked = ["--questions", str(questions), "--models", "m1,m2", "--judge", "judge", "--mode", "single"]
    return ["run", *asked, "--output", str(folder), "--api-url", endpoint.url, "--parallel", "4", *more]


async def status_of(arguments: Sequence[str]) -> int:
    """The command, in a thread, since it has a loop of its own."""

    def run() -> int:
        try:
            bench.main(arguments)
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return await asyncio.to_thread(run)


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def verdicts(folder: Path) -> list[dict[str, Any]]:
    return rows(folder / "model_judgment" / "judge_single.jsonl")


async def test_a_whole_run_leaves_fastchats_files_and_counts_what_nobody_could_read(
    endpoint: Endpoint, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert await status_of(run_line(endpoint, questions, folder)) == 1  # something failed
    answers = rows(folder / "model_answer" / "m1.jsonl")
    assert [row["question_id"] for row in answers] == list(range(1, QUESTIONS + 1))
    assert answers[0]["choices"] == [{"index": 0, "turns": ["I am m1. Question 1?", "I am m1. Why?"]}]
    found = verdicts(folder)
    assert {(row["model"], row["score"]) for row in found} == {("m1", 5.0), ("m2", 8.0)}
    assert len(found) == 2 * QUESTIONS * TURNS - 2
    failed = rows(folder / "model_judgment" / "judge_failures.jsonl")
    assert [(row["question_id"], row["models"], row["turn"]) for row in failed] == [(3, ["m1"], 1), (3, ["m1"], 2)]
    assert "m2" in capsys.readouterr().out
    assert read_spending(folder).calls == endpoint.calls


async def test_the_report_is_opened_in_a_browser(
    endpoint: Endpoint, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    await status_of([*run_line(endpoint, questions, tmp_path / "out"), "--open"])
    index = tmp_path / "out" / "site" / "index.html"
    assert opened == [index.as_uri()]
    assert "m2" in index.read_text()


async def test_the_same_line_again_asks_only_for_what_failed_and_not_the_cache(
    endpoint: Endpoint, questions: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    await status_of(run_line(endpoint, questions, folder))
    before = endpoint.calls
    await status_of(run_line(endpoint, questions, folder))
    assert endpoint.calls == before + 2 * 3  # two verdicts, three attempts each
    assert len(verdicts(folder)) == 2 * QUESTIONS * TURNS - 2
    assert len(rows(folder / "model_judgment" / "judge_failures.jsonl")) == 2


async def test_a_cache_is_shared_among_folders(endpoint: Endpoint, questions: Path, tmp_path: Path) -> None:
    shared = ("--cache", str(tmp_path / "cache"), "--question-end", "2")
    assert await status_of(run_line(endpoint, questions, tmp_path / "one", *shared)) == 0
    before = endpoint.calls
    assert await status_of(run_line(endpoint, questions, tmp_path / "two", *shared)) == 0
    assert endpoint.calls == before
    assert [row["score"] for row in verdicts(tmp_path / "two")] == [row["score"] for row in verdicts(tmp_path / "one")]


@pytest.mark.parametrize("replies", [10, ANSWERS + 7])
async def test_killed_at_any_point_no_recorded_call_is_repeated_and_no_line_lost(
    endpoint: Endpoint, questions: Path, tmp_path: Path, replies: int
) -> None:
    folder = tmp_path / "out"
    line = [*run_line(endpoint, questions, folder), "--no-caching"]  # what is there is known by the files alone
    endpoint.holds_after = replies
    command = [sys.executable, "-m", "fastchat", "bench", *line]
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: endpoint.held == 4, "all four places wait for the endpoint")
    finally:
        child.kill()
        await child.wait()
    recorded = whole_lines(folder)
    assert endpoint.answered == replies
    endpoint.holds_after = None
    assert await status_of(line) == 1  # the judge is still speechless
    assert recorded <= whole_lines(folder)
    assert len(rows(folder / "model_answer" / "m1.jsonl")) == QUESTIONS
    keys = [(row["question_id"], row["model"], row["turn"]) for row in verdicts(folder)]
    assert len(keys) == len(set(keys)) == 2 * QUESTIONS * TURNS - 2
    again = [json.loads(body) for body, count in endpoint.asked.items() if count > 1]
    assert 0 < len(again) <= 4 * TURNS  # of an answer in flight both turns
    had = [json.loads(line) for line in recorded]
    assert not {asked_for(row) for row in had} & {prompt_of(body) for body in again}


async def test_an_interruption_leaves_whole_files_and_no_traceback(
    endpoint: Endpoint, questions: Path, tmp_path: Path
) -> None:
    endpoint.holds_after = 11
    command = [sys.executable, "-m", "fastchat", "bench", *run_line(endpoint, questions, tmp_path / "out")]
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        await until(lambda: endpoint.held == 4, "all four places wait for the endpoint")
        child.send_signal(signal.SIGINT)
        _, said = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    assert child.returncode == 130
    assert b"Traceback" not in said
    assert whole_lines(tmp_path / "out")


def asked_for(row: Mapping[str, Any]) -> tuple[str, str]:
    """Who was asked what at first, for this line of a file."""
    if "choices" in row:
        return row["model_id"], f"Question {row['question_id']}?"
    return row["judge"][0], row["user_prompt"]


def prompt_of(body: Mapping[str, Any]) -> tuple[str, str]:
    asked = [message["content"] for message in body["messages"] if message["role"] == "user"]
    return body["model"], asked[0]


def whole_lines(folder: Path) -> set[str]:
    return {
        json.dumps(row, sort_keys=True)
        for file in [*folder.glob("model_answer/*.jsonl"), *folder.glob("model_judgment/*_single.jsonl")]
        for row in rows(file)
    }


async def test_a_budget_holds_and_more_of_it_goes_on(
    endpoint: Endpoint, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices, folder = tmp_path / "prices.toml", tmp_path / "out"
    prices.write_text(PRICES)
    line = [*run_line(endpoint, questions, folder), "--prices", str(prices), "--max-tokens", "20"]
    line += ["--max-verdict-tokens", "20"]
    assert await status_of([*line, "--budget", "0.30"]) == 1
    spent = read_spending(folder)
    assert 0.1 < spent.usd <= 0.30
    assert "are left" in capsys.readouterr().err
    await status_of([*line, "--budget", "0.30"])
    assert read_spending(folder).usd <= 0.30
    await status_of([*line, "--budget", "100"])
    assert len(verdicts(folder)) == 2 * QUESTIONS * TURNS - 2
    assert endpoint.asked.most_common(1)[0][1] == 1  # nothing was paid for twice


async def test_what_one_model_cannot_answer_stands_beside_and_is_asked_again(questions: Path, tmp_path: Path) -> None:
    is_ill = True

    def sometimes(body: Mapping[str, Any]) -> str:
        if is_ill and body["model"] == "m1" and "Question 2?" in body["messages"][0]["content"]:
            raise web.HTTPBadRequest(text='{"error": {"message": "not this one"}}')
        return say(body)

    folder = tmp_path / "out"
    async with serving(Endpoint(sometimes, ("m1", "m2", "judge"))) as endpoint:
        assert await status_of(run_line(endpoint, questions, folder, "--question-end", "2")) == 1
        failures = folder / "answer_failures" / "m1.jsonl"
        assert [(row["question_id"], row["reason"]) for row in rows(failures)] == [(2, "not this one")]
        assert [row["question_id"] for row in rows(folder / "model_answer" / "m1.jsonl")] == [1]
        assert {(row["question_id"], row["model"]) for row in verdicts(folder)} == {(1, "m1"), (1, "m2"), (2, "m2")}
        is_ill = False
        assert await status_of(run_line(endpoint, questions, folder, "--question-end", "2")) == 0
    assert rows(failures) == []
    assert len(verdicts(folder)) == 2 * 2 * TURNS


async def test_fastchats_flags_and_folders(endpoint: Endpoint, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data / "mt_bench"
    monkeypatch.chdir(data.parent)
    api = ["--openai-api-base", f"{endpoint.url}/v1"]
    for model in ("m1", "m2"):
        line = ["answer", "--bench-name", "mt_bench", "--model", "gpt-3.5-turbo", "--model", model, "--parallel", "3"]
        assert await status_of([*line, *api, "--num-choices", "2", "--question-begin", "0", "--question-end", "2"]) == 0
    assert [len(row["choices"]) for row in rows(folder / "model_answer" / "m2.jsonl")] == [2, 2]
    usual = ["--bench-name", "mt_bench", "--judge", "gpt-4", "--baseline", "m1", "--judge-model", "judge", *api]
    judging = ["judge", *usual, "--model-list", "m1", "m2", "--first-n", "1"]
    assert await status_of([*judging, "--mode", "pairwise-all"]) == 1  # a rating is no winner
    failed = rows(folder / "model_judgment" / "judge_failures.jsonl")
    assert (failed[0]["models"], failed[0]["judge"]) == (["m1", "m2"], ["judge", "pair-v2"])
    assert await status_of(["judge", *usual, "--first-n", "1"]) == 0  # all who have answered
    assert len(verdicts(folder)) == 2 * TURNS


async def test_fastchats_judge_file_is_of_prompts(endpoint: Endpoint, data: Path, tmp_path: Path) -> None:
    prompt = {"name": "single-v1", "type": "single", "output_format": "[[rating]]", "prompt_template": "MINE {answer}"}
    prompts = tmp_path / "judge_prompts.jsonl"
    prompts.write_text(json.dumps(prompt) + "\n")
    line = run_line(endpoint, data / "mt_bench" / "question.jsonl", tmp_path / "out", "--question-end", "1")
    assert await status_of([*line, "--judge-file", str(prompts)]) == 0
    assert any(row["user_prompt"].startswith("MINE ") for row in verdicts(tmp_path / "out"))
    assert prompts.read_text() == json.dumps(prompt) + "\n"


async def test_who_is_named_twice_is_asked_once(endpoint: Endpoint, questions: Path, tmp_path: Path) -> None:
    line = run_line(endpoint, questions, tmp_path / "out", "--question-end", "2", "--no-caching")
    assert await status_of([*line, "--models", "m1,m2,m1", "--judge", "judge,judge"]) == 0
    assert endpoint.calls == 2 * 2 * TURNS + 2 * 2 * TURNS
    with pytest.raises(SetupError, match="pairwise-all needs two models; given: m2"):
        await status_of([*line, "--first-n", "3", "--models", "m2,m2", "--mode", "pairwise-all"])
    assert endpoint.calls == 2 * 2 * TURNS + 2 * 2 * TURNS  # nothing was asked before it was refused


async def test_pairs_with_a_baseline_that_nobody_serves_any_more(questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    async with serving(Endpoint(say, ("m1",))) as gone:
        await status_of(["answer", "--questions", str(questions), "--output", str(folder), "--api-url", gone.url])

    def prefer(body: Mapping[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        return "[[A]]" if body["model"] == "judge" and text.find("I am m2") < text.find("I am m1") else "[[B]] I am m2"

    async with serving(Endpoint(prefer, ("m2", "judge"))) as endpoint:
        line = ["run", "--models", "m2", "--baseline", "m1", "--judge", "judge", "--mode", "pairwise-baseline"]
        assert await status_of([*line, "--output", str(folder), "--api-url", endpoint.url]) == 0
    pairs = rows(folder / "model_judgment" / "judge_pair.jsonl")
    assert {(row["model_1"], row["g1_winner"], row["g2_winner"]) for row in pairs} == {("m2", "model_1", "model_1")}
    assert len(pairs) == QUESTIONS * TURNS


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--models", "nobody"], "no model 'nobody'.*Served: judge, m1, m2"),
        (["--budget", "1"], "no price is known for the model 'm1'"),
        (["--questions", "nothing.jsonl"], "nothing.jsonl"),
        (["--mode", "pairwise-baseline"], "--baseline"),
    ],
)
async def test_what_the_user_has_to_mend(
    endpoint: Endpoint, questions: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    with pytest.raises(SetupError, match=message):
        await status_of([*run_line(endpoint, questions, tmp_path / "out"), *more])
    assert endpoint.calls == 0


def test_two_runs_do_not_write_into_one_folder(questions: Path, tmp_path: Path) -> None:
    line = ["answer", "--questions", str(questions), "--models", "m", "--output", str(tmp_path)]
    with BenchFolder(tmp_path).claimed(), pytest.raises(SetupError, match="Another run writes"):
        bench.main(line)


async def test_a_folder_keeps_to_its_questions(endpoint: Endpoint, questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    await status_of(run_line(endpoint, questions, folder, "--first-n", "1"))
    write(questions, "Why not?")
    with pytest.raises(SetupError, match="other questions"):
        await status_of(run_line(endpoint, questions, folder, "--first-n", "1"))


async def test_results_are_shown_and_given_to_programs(
    endpoint: Endpoint, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    await status_of(run_line(endpoint, questions, folder, "--first-n", "2"))
    capsys.readouterr()
    assert await status_of(["show", str(folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["judges"][0]["judge"] == "judge"
    for form, sign in (("text", "m1"), ("csv", "judge,score,m1"), ("markdown", "| m1 |")):
        assert await status_of(["show", str(folder), "--format", form]) == 0
        assert sign in capsys.readouterr().out


def test_a_new_set_can_be_asked_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["new", str(tmp_path / "mine")])
    assert "questions.yaml: written" in capsys.readouterr().out


def judged(folder: Path, judge: str, winners: Sequence[str]) -> None:
    """Games as they are told, and one score: the number of letters of the first winner."""
    place = folder / "model_judgment"
    place.mkdir(exist_ok=True)
    said = {"judge": [judge, "single-v1"], "user_prompt": "", "judgment": ""}
    single = [{"question_id": 1, "model": "m", "score": float(len(winners[0])), **said}]
    pairs = [
        {"question_id": number, "model_1": "a", "model_2": "b", "g1_winner": winner, "g2_winner": winner}
        | {"judge": [judge, "pair-v2"]}
        for number, winner in enumerate(winners, 1)
    ]
    for kind, found in (("single", single), ("pair", pairs)):
        (place / f"{judge}_{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))


@pytest.mark.parametrize("how", ["majority", "dawid-skene"])
def test_several_judges_become_one(tmp_path: Path, how: str) -> None:
    judged(tmp_path, "j1", ["model_1", "model_2", "model_1"])
    judged(tmp_path, "j2", ["model_1", "model_2", "model_1"])
    judged(tmp_path, "j3", ["model_2", "model_2", "model_1"])
    for _ in range(2):  # what was combined is no judge
        bench.main(["combine", str(tmp_path), "--how", how])
    found = rows(tmp_path / "model_judgment" / f"{how}(j1, j2, j3)_pair.jsonl")
    assert [row["g1_winner"] for row in found] == ["model_1", "model_2", "model_1"]


def test_scores_of_some_judges_become_their_mean(tmp_path: Path) -> None:
    for judge, winner in (("j1", "tie"), ("j2", "model_1"), ("j3", "x")):
        judged(tmp_path, judge, [winner])
    bench.main(["combine", str(tmp_path), "--judges", "j1,j2"])
    (row,) = rows(tmp_path / "model_judgment" / "mean(j1, j2)_single.jsonl")
    assert row["score"] == 5.0


async def test_a_suite_and_results_on_it_are_signed_and_a_change_is_found_out(
    endpoint: Endpoint, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, key, folder = suite_of(questions), tmp_path / "key.pem", tmp_path / "out"
    assert await status_of(["certify", str(suite), "--key", str(key)]) == 0
    public = capsys.readouterr().out.split()[-1]
    assert await status_of(["verify", str(suite), "--public-key", public]) == 0
    source = ["--questions", str(suite), "--models", "m2", "--output", str(folder), "--api-url", endpoint.url]
    assert await status_of(["answer", *source]) == 0
    assert await status_of(["certify", str(suite), "--key", str(key), "--results", str(folder)]) == 0
    check = ["verify", str(suite), "--public-key", public, "--results", str(folder)]
    assert await status_of(check) == 0
    tamper(folder / "model_answer" / "m2.jsonl")
    capsys.readouterr()
    assert await status_of(check) == 1
    assert "wrong: model_answer/m2.jsonl" in capsys.readouterr().out


def suite_of(questions: Path) -> Path:
    folder = questions.parent / "suite"
    folder.mkdir()
    questions.rename(folder / "question.jsonl")
    (folder / "suite.toml").write_text('name = "mine"\nversion = "1"\nlicence = "CC0-1.0"\n')
    return folder


def tamper(file: Path) -> None:
    file.write_text(file.read_text().replace("I am", "I was", 1))


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Ours, with models that always say the same unless they are held to a schema."""
    running = System(tmp_path_factory.mktemp("system"))
    running.worker("one", "two", "judge", engine={"reply": "It is so. [[7]]"})
    asyncio.run(running.until_served("judge"))
    yield running
    running.stop()


def by_api(system: System) -> list[str]:
    return ["--api-url", system.url]


def by_controller(system: System) -> list[str]:
    return ["--controller", system.controller.url, "--budget", "0.001"]  # nobody bills what runs here


@pytest.mark.parametrize("reach", [by_api, by_controller])
async def test_models_of_a_system_of_ours(
    system: System, questions: Path, tmp_path: Path, reach: Callable[[System], list[str]]
) -> None:
    line = ["run", "--questions", str(questions), "--models", "one,two", "--judge", "judge", "--output", str(tmp_path)]
    assert await status_of([*line, *reach(system), "--verdicts", "text"]) == 0
    assert {(row["model"], row["score"]) for row in verdicts(tmp_path)} == {("one", 7.0), ("two", 7.0)}


async def test_a_judge_that_is_known_to_keep_to_a_schema_is_held_to_it(
    system: System, questions: Path, tmp_path: Path
) -> None:
    line = ["run", "--questions", str(questions), "--models", "one", "--judge", "judge", "--output", str(tmp_path)]
    assert await status_of([*line, *by_controller(system), "--first-n", "1"]) == 0
    assert all("rating" in json.loads(row["judgment"]) for row in verdicts(tmp_path))


async def test_as_fastchat_had_it_openais_key_in_the_environment_is_enough(
    endpoint: Endpoint, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{endpoint.url}/v1")
    line = ["answer", "--questions", str(questions), "--models", "m1", "--output", str(tmp_path / "out")]
    assert await status_of([*line, "--first-n", "1"]) == 0
    assert endpoint.keys == {"Bearer sk-test"}


async def test_models_of_a_register_file(endpoint: Endpoint, questions: Path, tmp_path: Path) -> None:
    entry = {"api_type": "openai", "api_base": f"{endpoint.url}/v1", "api_key": "secret"}
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps({"A": {"model_name": "m2", **entry}, "J": {"model_name": "judge", **entry}}))
    line = ["run", "--questions", str(questions), "--models", "A", "--judge", "J", "--output", str(tmp_path / "out")]
    assert await status_of([*line, "--register", str(file), "--first-n", "2"]) == 0
    assert {row["score"] for row in rows(tmp_path / "out" / "model_judgment" / "J_single.jsonl")} == {8.0}


@pytest.mark.model
async def test_from_nothing_the_built_in_model_answers_and_judges(tmp_path: Path) -> None:
    questions = tmp_path / "two.jsonl"
    questions.write_text(
        '{"question_id": 1, "turns": ["Name a colour."]}\n{"question_id": 2, "turns": ["Say hello."]}\n'
    )
    short = ["--max-tokens", "12", "--max-verdict-tokens", "40", "--attempts", "1"]
    line = ["run", "--questions", str(questions), "--model-path", "builtin", "--judge", "builtin"]
    await status_of([*line, "--output", str(tmp_path / "out"), *short])
    name = "smollm2-135m-instruct"
    judgments = tmp_path / "out" / "model_judgment"
    had = rows(judgments / f"{name}_single.jsonl")
    failed = rows(judgments / f"{name}_failures.jsonl")
    assert len(rows(tmp_path / "out" / "model_answer" / f"{name}.jsonl")) == 2
    assert len(had) + len(failed) == 2  # so small a judge may not be readable; nothing is lost or invented
    assert all(1 <= row["score"] <= 10 for row in had)
