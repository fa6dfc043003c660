"""`fastchat arena`: what an operator types, and what comes back."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from fastchat.__main__ import main
from fastchat.arena.records import Consent, Outcome
from fastchat.arena.store.store import open_store
from fastchat.arena.transparency.heads import Signer
from fastchat.web.process import DATABASE, LOG_KEY
from tests.arena.exchange.logs import SAMPLES
from tests.arena.store.stories import NOW, ballot, begun


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path, folder: Path = tmp_path / "data") -> Ran:
        status = 0
        action, *rest = map(str, arguments)
        try:
            main(["arena", action, "--data-dir", str(folder), *rest])
        except SystemExit as error:
            status = int(error.code or 0)
        return Ran(status, *capsys.readouterr())

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def voted(folder: Path) -> Sequence[str]:
    """Three votes; the receipts, as JSON."""

    async def vote() -> list[str]:
        async with open_store(str(folder / DATABASE), Signer.load(folder / LOG_KEY), clock=lambda: NOW) as store:
            voter = await store.voter_id("key", None)
            await store.add_consent(voter, "default", Consent("1", NOW, True))
            receipts = []
            for outcome in (Outcome.LEFT, Outcome.TIE, Outcome.RIGHT):
                conversation = await begun(store, voter)
                receipts.append(await store.cast(replace(ballot(conversation, outcome))))
            return [receipt.model_dump_json() for receipt in receipts]

    return asyncio.run(vote())


def test_status_counts(run: Run, voted: Sequence[str]) -> None:
    status = run("status", "--json")
    assert status.status == 0
    found = json.loads(status.out)
    assert (found["votes"], found["conversations"], found["head"]["tree_size"]) == (3, 3, 3)
    assert "newest head    3 votes" in run("status").out


def test_a_sound_log_is_verified(run: Run, voted: Sequence[str], tmp_path: Path) -> None:
    head, receipt = tmp_path / "head.json", tmp_path / "receipt.json"
    head.write_text(json.dumps(json.loads(run("status", "--json").out)["head"]))
    receipt.write_text(voted[0])
    verified = run("verify", "--head", head, "--receipt", receipt)
    assert verified.status == 0
    assert "held against 1 saved heads and 1 receipts" in verified.out
    assert verified.out.splitlines()[-1].startswith("OK: ")


def test_a_rewritten_vote_is_found(run: Run, voted: Sequence[str], folder: Path) -> None:
    changed(folder, "UPDATE votes SET outcome = 'rightvote' WHERE leaf_index = 0")
    verified = run("verify")
    assert verified.status == 1
    assert "FOUND changed_leaf" in verified.out
    assert "NOT OK" in verified.out


def changed(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_damage_beside_the_log_is_found(run: Run, voted: Sequence[str], folder: Path) -> None:
    changed(folder, "DELETE FROM voters")
    verified = run("verify")
    assert verified.status == 1
    assert "FOUND damaged_database: row" in verified.out
    assert verified.out.splitlines()[-1] == (
        "NOT OK: the votes are as they were signed, but the database is damaged beside them."
    )


def test_a_vote_put_in_without_the_key_is_found(run: Run, voted: Sequence[str], folder: Path) -> None:
    changed(folder, "DELETE FROM tree_heads WHERE tree_size = 3")
    verified = run("verify")
    assert verified.status == 1
    assert "FOUND unsigned_log: from vote 2 on" in verified.out


def test_a_log_that_cannot_be_written_to_its_end_leaves_no_file(
    run: Run, voted: Sequence[str], folder: Path, tmp_path: Path
) -> None:
    changed(folder, "UPDATE tree_heads SET log_id = 'xyz' WHERE tree_size = 3")
    failed = run("log", tmp_path / "votes.log")
    assert failed.status == 2
    assert "The head of size 3 cannot be exported" in failed.err
    assert not (tmp_path / "votes.log").exists()


def test_a_write_that_fails_is_told_in_a_line(run: Run, voted: Sequence[str], folder: Path) -> None:
    changed(folder, "CREATE TRIGGER full BEFORE INSERT ON votes BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
    failed = run("import", SAMPLES / "2023-11-15-conv.json")
    assert failed.status == 2
    assert failed.err.splitlines()[-1].startswith("error: ")


def test_an_exported_log_is_verified_anywhere(run: Run, voted: Sequence[str], tmp_path: Path) -> None:
    log = tmp_path / "votes.log"
    written = run("log", log)
    key = written.out.split()[-1]
    elsewhere = tmp_path / "elsewhere"
    assert run("verify", "--log", log, "--public-key", key, folder=elsewhere).status == 0
    assert "proves damage only" in run("verify", "--log", log, folder=elsewhere).out
    log.write_bytes(log.read_bytes().replace(b"tievote", b"leftvote"))
    assert run("verify", "--log", log, "--public-key", key, folder=elsewhere).status == 1
    assert not elsewhere.exists()


def test_without_a_key_verify_says_what_to_do(run: Run, tmp_path: Path) -> None:
    failed = run("verify", folder=tmp_path / "empty")
    assert failed.status == 2
    assert "--public-key" in failed.err
    assert not (tmp_path / "empty").exists()


def test_a_backup_is_restored(run: Run, voted: Sequence[str], folder: Path, tmp_path: Path) -> None:
    assert "keys" in run("backup", tmp_path / "backup.sqlite").out
    other = tmp_path / "other"
    other.mkdir()
    assert "3 votes restored" in run("restore", tmp_path / "backup.sqlite", folder=other).out
    (other / LOG_KEY).write_bytes((folder / LOG_KEY).read_bytes())
    (other / LOG_KEY).chmod(0o600)
    assert run("verify", folder=other).status == 0


def test_logs_are_imported_and_exported(run: Run, tmp_path: Path) -> None:
    imported = run("import", *sorted(SAMPLES.glob("*.json")))
    assert imported.status == 0
    assert "4 votes cast" in imported.out
    assert "2023-11-16-conv.json:4 is not JSON" in imported.err
    assert "19 lines" in run("export", "--format", "fastchat", tmp_path / "logs").out
    assert "4 votes" in run("export", "--format", "jsonl", tmp_path / "votes.jsonl").out
    assert (tmp_path / "votes.jsonl").stat().st_mode & 0o777 == 0o600  # people's words
    day = run("export", "--format", "jsonl", "--since", "2023-11-15", "--until", "2023-11-16", tmp_path / "d.jsonl")
    assert "2 votes" in day.out
    assert run("verify").status == 0


def test_a_strict_import_stops(run: Run) -> None:
    stopped = run("import", "--strict", SAMPLES / "2023-11-16-conv.json")
    assert stopped.status == 2
    assert "Nothing was imported" in stopped.err


@pytest.mark.parametrize("action", ["import", "erase"])
def test_who_writes_must_own_the_store(run: Run, folder: Path, voted: Sequence[str], action: str) -> None:
    arguments = {"import": [SAMPLES / "2023-11-15-conv.json"], "erase": ["--older-than", "0"]}

    async def while_it_runs() -> Ran:
        async with open_store(str(folder / DATABASE), Signer.load(folder / LOG_KEY)):
            return await asyncio.to_thread(run, action, *arguments[action])

    refused = asyncio.run(while_it_runs())
    assert refused.status == 2
    assert "belongs to another process" in refused.err


def test_erasing_leaves_the_log_whole(run: Run) -> None:
    run("import", *sorted(SAMPLES.glob("*.json")))
    assert "5 conversations erased" in run("erase", "--older-than", "30").out
    found = json.loads(run("status", "--json").out)
    assert (found["erased"], found["votes"]) == (5, 4)
    assert run("verify").status == 0


def test_erasing_in_a_wrong_folder_makes_nothing_there(run: Run, tmp_path: Path) -> None:
    failed = run("erase", "--older-than", "30", folder=tmp_path / "wrong")
    assert failed.status == 2
    assert "--data-dir" in failed.err
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize("days", ["-1", "nan"])
def test_days_are_a_number(run: Run, voted: Sequence[str], days: str) -> None:
    assert "give a number of days" in run("erase", f"--older-than={days}").err


@pytest.mark.parametrize("what", ["--voter", "--conversation"])
def test_nobody_is_erased_by_a_wrong_id(run: Run, voted: Sequence[str], what: str) -> None:
    failed = run("erase", what, "nobody")
    assert failed.status == 2
    assert "nobody: there is no such" in failed.err


def test_a_release_needs_an_arena_that_publishes(run: Run, voted: Sequence[str], tmp_path: Path) -> None:
    pytest.importorskip("presidio_analyzer")
    arenas = tmp_path / "arenas.yaml"
    arenas.write_text("default: {publishes: false}\n")
    assert "publishes: true" in run("release", tmp_path / "out", "--arenas", arenas).err
    arenas.write_text("models: []\narenas: {default: {publishes: true}}\n")  # a whole fastchat.yaml
    made = run("release", tmp_path / "out", "--arenas", arenas, "--date", "2027-01-20")
    assert made.status == 0
    assert "3 votes with text" in made.out
    assert "Note: No language model was used" in made.out
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["date"] == "2027-01-20"


def test_help_needs_no_heavy_library(run: Run) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from fastchat.__main__ import main\n"
        "try: main(['arena', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'polars', 'presidio_analyzer', 'spacy', 'sqlalchemy', 'gradio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True)
