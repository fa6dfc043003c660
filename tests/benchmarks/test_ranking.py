from pathlib import Path

import pytest

from benchmarks import ranking
from benchmarks.ranking_data import MODELS, TIES, write_votes
from fastchat.arena.leaderboard.reading import read_votes, stream_counts
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Outcome
from fastchat.ranking.results import Scale

polars = pytest.importorskip("polars")


def test_votes_to_measure_with_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        write_votes(tmp_path / f"{name}.parquet", 30_000, seed=seed)
    first, again, other = (read_votes([tmp_path / f"{name}.parquet"]) for name in ("first", "again", "other"))
    outcomes = first.frame["outcome"].to_numpy()
    votes_of = stream_counts([tmp_path / "first.parquet"]).votes_of
    assert first.source["votes_sha256"] == again.source["votes_sha256"] != other.source["votes_sha256"]
    assert len(first) == 30_000
    assert len(first.models) == MODELS
    assert (outcomes >= Outcome.TIE).mean() == pytest.approx(TIES, abs=0.01)
    assert votes_of.max() > 5 * votes_of.min()
    assert first.has("voter", "tstamp", "tokens_a", "headers_b", "lists_a", "bold_b")


def test_a_process_reads_rates_and_tells_what_it_took(tmp_path: Path) -> None:
    write_votes(tmp_path / "votes.parquet", 20_000, with_style=False)
    run = ranking._run(ranking.Way("ours", "bt"), [tmp_path / "votes.parquet"])
    fit = fit_bradley_terry(stream_counts([tmp_path / "votes.parquet"]))
    assert run.ratings == pytest.approx(dict(zip(fit.models, Scale().ratings(fit), strict=True)), abs=1e-6)
    assert 50 < run.peak_mb < 600
    assert 0 < run.wall_s < 60
    assert run.imports_s > 0


def test_what_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"ours ended with 1:[^$]*no file .*absent\.parquet"):
        ranking._run(ranking.Way("ours", "bt"), [tmp_path / "absent.parquet"])


def test_what_a_day_costs_is_told_apart(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.parquet" for name in ("known", "monday", "tuesday")]
    for number, file in enumerate(files):
        write_votes(file, 5_000, with_style=False, seed=number)
    run = ranking._run(ranking.Way("ours", "days"), files)
    table = ranking._table_of_days(run, 5_000)
    assert len(run.read_s) == len(run.fit_s) == len(run.ranks_s) == 2
    assert all(isinstance(ms, float) and 0 < ms < 5_000 for _, ms in table.rows)
    fit = fit_bradley_terry(stream_counts(files))
    assert run.ratings == pytest.approx(dict(zip(fit.models, Scale().ratings(fit), strict=True)), abs=1e-6)


@pytest.mark.full
@pytest.mark.timeout(300)
def test_all_ways_find_the_same_ratings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "WAYS", [way for way in ranking.WAYS if way.peer is None])
    findings = ranking.run(is_quick=True)
    assert all(aim.measured is not None for aim in findings.aims)
    for table in findings.tables[:-1]:
        furthest = {row[0]: row[-1] for row in table.rows if row[-1] != ""}
        assert len(furthest) == 2
        assert all(float(value or 0) < 1e-3 for value in furthest.values())
