"""`fastchat leaderboard` and the old commands behind it: what an operator types, and what comes back."""

import asyncio
import csv
import json
import math
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fastchat.__main__ import main, run_command
from fastchat.arena.records import Consent, Mark, Mode, Outcome
from fastchat.arena.store.store import open_store
from fastchat.arena.transparency.heads import Signer
from fastchat.web.process import DATABASE, LOG_KEY
from tests.arena.store.stories import NOW, ballot, begun

from .votes import rows

DATA = Path(__file__).parents[2] / "data"
GENAI = DATA / "genai_arena" / "battles.jsonl.gz"
LLMFAO = DATA / "llmfao" / "crowd-comparisons.csv.gz"


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path, command: str = "leaderboard") -> Ran:
        status = 0
        try:
            given = list(map(str, arguments))
            main(["leaderboard", *given]) if command == "leaderboard" else run_command(command, given)
        except SystemExit as error:
            status = int(error.code or 0)
        return Ran(status, *capsys.readouterr())

    return call


@pytest.fixture
def battles(tmp_path: Path) -> Path:
    """Two hundred votes as FastChat's clean battles."""
    winners = ("model_a", "model_b", "tie", "tie (bothbad)")
    columns = rows(200)
    file = tmp_path / "battles.json"
    file.write_text(
        json.dumps(
            [
                {
                    "model_a": columns["model_a"][at],
                    "model_b": columns["model_b"][at],
                    "winner": winners[columns["outcome"][at]],
                    "judge": f"arena_user_{columns['voter'][at]}",
                    "tstamp": columns["tstamp"][at],
                    "anony": at % 10 != 0,
                    "language": "English" if at % 2 else "German",
                    "turn": 1,
                    "source": "app" if at % 5 == 0 else "page",
                }
                for at in range(200)
            ]
        )
    )
    return file


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def test_genai_arenas_board_is_within_a_sixth_of_a_point(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    flags = ("--where", "task=t2i", "--anonymous-only", "--ridge", "0.09430584850580696")
    assert run("build", "--votes", GENAI, *flags, "--output", out).status == 0
    with (DATA / "genai_arena" / "leaderboard_t2i_generation.csv").open() as file:
        published = {row["key"]: float(row["Arena Elo rating (anony)"]) for row in csv.DictReader(file)}
    models = read(out)["categories"]["overall"]["models"]
    assert {row["name"]: row["rating"] for row in models} == pytest.approx(published, abs=0.15)
    assert [row["rating"] for row in models] == sorted((row["rating"] for row in models), reverse=True)
    assert set(models[0]) >= {"name", "rating", "lower", "upper", "rank_lower", "rank_upper", "votes"}
    assert run("verify", out).status == run("verify", out, "--votes", GENAI).status == 0


@pytest.mark.parametrize(("rating", "scale"), [("bradley_terry", None), ("elo", 1.0)])
def test_llmfaos_scores(run: Run, tmp_path: Path, rating: str, scale: float | None) -> None:
    out = tmp_path / "board.json"
    flags = ("--columns", "model_a=left,model_b=right", "--rounds", "2", "--rating", "elo" if scale else "bt")
    assert run("build", "--votes", LLMFAO, *flags, "--output", out).status == 0
    with (DATA / "llmfao" / "golden_scores.csv").open() as file:
        golden = {row["item"]: float(row["score"]) for row in csv.DictReader(file) if row["algorithm"] == rating}
    if scale is None:  # theirs are odds
        middle = math.fsum(map(math.log, golden.values())) / len(golden)
        golden = {name: 1000 + 400 / math.log(10) * (math.log(score) - middle) for name, score in golden.items()}
    models = read(out)["categories"]["overall"]["models"]
    assert {row["name"]: row["rating"] for row in models} == pytest.approx(golden, abs=1e-6)


def test_llmfaos_bias(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    named = ("--columns", "model_a=left,model_b=right", "--columns", "voter=worker")
    assert run("build", "--votes", LLMFAO, *named, "--output", out).status == 0
    board = read(out)
    [side] = [row for row in board["bias"] if row["name"] == "left side"]
    assert side["estimate"] * 0.005756462732485115 == pytest.approx(0.0909, abs=1e-4)
    assert board["source"]["files"][0]["name"] == LLMFAO.name


def test_flags_reach_the_board(run: Run, battles: Path, tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    flags = "--rating bt --interval bootstrap --rounds 20 --seed 3 --both-bad drop --confidence 0.9 --anchor bee=1200"
    more = ("--clean", "daily=3", "language=English", "--quarantine", "--unlisted", "cat", "--category", "overall")
    assert run("build", "--votes", battles, *flags.split(), *more, "--output", out).status == 0
    parameters = read(out)["parameters"]
    assert (parameters["interval"], parameters["rounds"], parameters["seed"]) == ("bootstrap", 20, 3)
    assert (parameters["both_bad"], parameters["confidence"]) == ("drop", 0.9)
    assert (parameters["anchor"], parameters["offset"]) == ("bee", 1200.0)
    assert parameters["cleaning"]["daily_votes"] == 3
    assert parameters["cleaning"]["languages"] == ["English"]
    [overall] = read(out)["categories"].values()
    assert {row["name"] for row in overall["models"]} == {"ace", "bee", "dog", "eel"}
    assert run("verify", out, "--votes", battles).status == 0


def test_voters_are_tested_unless_it_is_not_wanted(run: Run, battles: Path, tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    run("build", "--votes", battles, "--false-alarms", "0.2", "--output", out)
    assert read(out)["quarantine"]["level"] == 0.2
    run("build", "--votes", battles, "--false-alarms", "0", "--output", out)
    assert read(out)["quarantine"] is None


def test_where_takes_some_rows_only(run: Run, battles: Path, tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    assert run("build", "--votes", battles, "--where", "source=app", "language=German", "--output", out).status == 0
    assert read(out)["categories"]["overall"]["votes"] == 20


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--category", "nonsense"), "overall"),
        (("--anchor", "yak"), "ace, bee"),
        (("--clean", "thoroughly"), "refusals"),
        (("--clean", "daily=none"), "daily_votes"),
        (("--ridge", "-1"), "ridge"),
        (("--confidence", "95"), "confidence"),
        (("--columns", "model_a=nothing"), "nothing"),
        (("--style-control",), "tokens_a"),
        (("--style-control", "--rating", "elo"), "rating bt"),
        (("--both-bad", "own", "--interval", "bootstrap"), "both"),
        (("--models", "none.csv"), "none.csv"),
        (("--where", "source=app", "source=page"), "'app' and 'page'"),
        (("--columns", "voter=judge", "--columns", "voter=source"), "'judge' and 'source'"),
        (("--both-bad", "own", "--interval", "clustered"), "errors by voter"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(
    run: Run, battles: Path, tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    done = run("build", "--votes", battles, *flags, "--output", tmp_path / "board.json")
    assert done.status == 2
    assert done.err.startswith("error: ")
    assert words in done.err
    assert not (tmp_path / "board.json").exists()


def test_votes_have_to_be_given_once(run: Run, battles: Path, tmp_path: Path) -> None:
    assert "--votes" in run("build", "--output", tmp_path / "b").err
    assert "--arena" in run("build", "--votes", battles, "--arena", "x", "--output", tmp_path / "b").err


@pytest.mark.parametrize("place", ["nowhere/board.json", "."])
def test_output_that_cannot_be_written_is_named(run: Run, battles: Path, tmp_path: Path, place: str) -> None:
    done = run("build", "--votes", battles, "--output", tmp_path / place)
    assert done.status == 2
    assert f"{tmp_path / place} cannot be written: " in done.err


def test_votes_of_no_weight_are_left_out_and_counted(run: Run, tmp_path: Path) -> None:
    votes, out = tmp_path / "votes.csv", tmp_path / "board.json"
    votes.write_text("model_a,model_b,winner,weight\na,b,model_a,0.75\na,b,model_b,0.25\na,b,model_b,0\n")
    built = run("build", "--votes", votes, "--output", out)
    assert "left out: 1 vote, no weight: its weight is 0" in built.out
    best, worst = read(out)["categories"]["overall"]["models"]
    assert (best["name"], worst["name"]) == ("a", "b")
    assert best["rating"] - worst["rating"] == pytest.approx(400 * math.log10(3), abs=1e-5)


def test_elo_has_bootstrapped_intervals_only(run: Run, battles: Path, tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    flags = ("--votes", battles, "--rating", "elo", "--rounds", "5", "--output", out)
    assert "bootstrapped" in run("build", *flags, "--interval", "clustered").err
    assert run("build", *flags).status == 0
    assert read(out)["parameters"]["interval"] == "bootstrap"


def test_a_terminal_shows_what_there_is(run: Run, battles: Path, tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    run("build", "--votes", battles, "--output", out)
    shown = run("show", out).out
    assert "win rate" in shown
    assert "organization" not in shown  # nobody said any


def test_a_missing_package_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: Any) -> None:
        raise ModuleNotFoundError(name="numpy")

    monkeypatch.setattr("fastchat.commands.leaderboard.main", fails)
    with pytest.raises(SystemExit, match="2"):
        run_command("leaderboard", [])
    assert 'pip install "fschat[leaderboard]"' in capsys.readouterr().err


def test_the_test_of_voters_has_to_be_made_for_its_quarantine(run: Run, battles: Path, tmp_path: Path) -> None:
    flags = ("--votes", battles, "--output", tmp_path / "b.json", "--quarantine", "--false-alarms", "0")
    assert "--false-alarms 0" in run("build", *flags).err


def test_names_cannot_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    votes, out = tmp_path / "votes.csv", tmp_path / "board.json"
    votes.write_text("model_a,model_b,winner\na\x1b[31m,b,tie\n")
    run("build", "--votes", votes, "--output", out)
    board = read(out)
    board["categories"]["overall"]["models"][0]["votes"] = 7
    out.write_text(json.dumps(board))
    for done in (run("show", out), run("verify", out)):
        assert "\x1b[31m" not in done.out
        assert "�[31m" in done.out


def test_a_changed_board_is_found(run: Run, battles: Path, tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    run("build", "--votes", battles, "--output", out)
    content = read(out)
    content["categories"]["overall"]["models"][0]["rating"] += 5
    out.write_text(json.dumps(content))
    for votes in ((), ("--votes", battles)):
        found = run("verify", out, *votes)
        assert found.status == 1
        assert "categories.overall.models[ace].rating" in found.out
        assert "NOT OK" in found.out


def test_other_votes_are_found(run: Run, battles: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "board.json", tmp_path / "other.json"
    run("build", "--votes", battles, "--output", out)
    votes = json.loads(battles.read_text())
    votes[3]["winner"] = "model_b" if votes[3]["winner"] == "model_a" else "model_a"
    other.write_text(json.dumps(votes))
    found = run("verify", out, "--votes", other)
    assert found.status == 1
    assert "\nsource " in found.out


def test_a_board_is_shown_and_exported(run: Run, battles: Path, tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    run("build", "--votes", battles, "--output", out)
    assert "ace" in run("show", out).out
    assert run("show", out, "--format", "markdown").out.startswith("| Rank |")
    assert run("show", out, "--format", "csv").out.startswith("name,rating,")
    assert json.loads(run("show", out, "--format", "json").out)["votes"] == 200
    assert "overall" in run("show", out, "--category", "none").err
    for form in ("csv", "markdown", "fastchat-pickle"):
        assert run("export", out, "--format", form, "--output", tmp_path / form).status == 0
    assert (tmp_path / "csv").read_text() == run("show", out, "--format", "csv").out
    assert "full" in pickle.loads((tmp_path / "fastchat-pickle").read_bytes())
    assert run("site", out, "--output", tmp_path / "site").status == 0
    assert "ace" in (tmp_path / "site" / "index.html").read_text()


def test_the_board_of_an_arenas_store(run: Run, tmp_path: Path) -> None:
    folder, out = tmp_path / "data", tmp_path / "board.json"

    async def vote() -> None:
        async with open_store(str(folder / DATABASE), Signer.load(folder / LOG_KEY), clock=lambda: NOW) as store:
            for number, outcome in enumerate((Outcome.LEFT, Outcome.TIE, Outcome.RIGHT, Outcome.BOTH_BAD)):
                voter = await store.voter_id(f"key{number}", None)
                await store.add_consent(voter, "default", Consent("1", NOW, True))
                await store.cast(ballot(await begun(store, voter), outcome))
            told = replace(ballot(await begun(store, voter)), marks=frozenset({Mark.NAMES_ITSELF}))
            await store.cast(told)
            await store.cast(replace(ballot(await begun(store, voter)), mode=Mode.SIDE_BY_SIDE.value))

    asyncio.run(vote())
    store = ("--arena", "default", "--data-dir", folder)
    built = run("build", *store, "--output", out)
    assert built.status == 0, built.err
    board = read(out)
    assert board["categories"]["overall"]["votes"] == 4
    assert board["source"]["arena"] == "default"
    assert board["source"]["head"]["tree_size"] == 6
    dropped = {step["rule"]: step["dropped"] for step in board["cleaning"] if step["dropped"]}
    assert dropped == {"not anonymous": 1, "marked names itself": 1}  # as of the page's own leaderboard
    assert "left out: 1 vote, not anonymous: the names were known to the voter" in built.out
    assert run("verify", out, *store).status == 0
    assert "no votes" in run("build", "--arena", "other", "--data-dir", folder, "--output", out).err


@pytest.mark.parametrize("flags", [(), ("--rating-system", "elo"), ("--exclude-tie", "--exclude-models", "eel")])
def test_elo_analysis_writes_fastchats_files_and_ours(
    run: Run, battles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ("--clean-battle-file", battles, "--num-bootstrap", "10", "--num-cpu", "2", *flags)
    done = run(*given, "--category", "full", "german", command="elo_analysis")
    assert done.status == 0, done.err
    assert "# Results for full conversations" in done.out
    results = pickle.loads((tmp_path / "elo_results_20231124.pkl").read_bytes())
    assert set(results) == {"full", "german"}
    full = results["full"]
    frame = full["leaderboard_table_df"]
    assert full["bootstrap_df"].shape == (10, len(frame))
    assert set(full["elo_rating_online"]) == set(frame.index) == set(full["elo_rating_final"])
    assert ("eel" in frame.index) == ("--exclude-models" not in flags)
    ours = tmp_path / "elo_results_20231124.json"
    assert read(ours)["categories"]["overall"]["models"][0]["name"] == frame.index[0]
    assert run("verify", ours, "--votes", battles).status == 0
    ties = sum(read(ours)["categories"]["overall"]["outcomes"][name] for name in ("tie", "both_bad"))
    assert (ties == 0) == ("--exclude-tie" in flags)


def test_elo_analysis_that_cannot_be_written_is_said(
    run: Run, battles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elo_results_20231124.pkl").mkdir()
    done = run("--clean-battle-file", battles, "--num-bootstrap", "2", command="elo_analysis")
    assert done.status == 2
    assert "elo_results_20231124.pkl cannot be written: " in done.err


def test_fastchats_anchor_is_held(run: Run, battles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    battles.write_text(battles.read_text().replace('"cat"', '"mixtral-8x7b-instruct-v0.1"'))
    assert run("--clean-battle-file", battles, "--num-bootstrap", "10", command="elo_analysis").status == 0
    full = pickle.loads((tmp_path / "elo_results_20231124.pkl").read_bytes())["full"]
    assert full["elo_rating_final"]["mixtral-8x7b-instruct-v0.1"] == 1114
    assert set(full["bootstrap_df"]["mixtral-8x7b-instruct-v0.1"]) == {1114}


def test_leaderboard_csv_to_html_escapes_and_links(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    shutil.copy(DATA / "leaderboard" / "leaderboard_table.csv", file)
    with file.open("a") as more:
        more.write('x,<b>Evil</b>,-,-,-,-,<i>,,,https://example.org/?a="b\n')
    html = run("--input", file, command="leaderboard_csv").out
    assert html.index("GPT-4o") < html.index("Vicuna-13B") < html.index("Koala-13B")
    assert 'href="https://openai.com/' in html
    assert "javascript:" not in html
    assert "<b>" not in html
    assert "&lt;b&gt;Evil" in html
