import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import cleaning
from benchmarks.cleaning_data import BLOCKED, COPY, HALF, NEAR, SHARES, TWICE, kind_of, write_pages
from benchmarks.results import Table


def test_what_is_planted_is_what_its_name_says(tmp_path: Path) -> None:
    write_pages(tmp_path / "pages.json", 600)
    write_pages(tmp_path / "again.json", 600)
    assert (tmp_path / "pages.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    rows = {row["id"]: row["conversations"] for row in json.loads((tmp_path / "pages.json").read_text())}
    counts = Counter(map(kind_of, rows))
    assert len(rows) == 600
    assert set(counts) == {*SHARES, ""}
    for name, said in rows.items():
        original = rows[name.partition("-")[0]] if kind_of(name) in (COPY, NEAR, HALF) else None
        if original:
            assert (said == original) == (kind_of(name) == COPY)
            assert len(said) == len(original)
        assert (said[0]["from"] == said[1]["from"]) == (kind_of(name) == TWICE)
        assert any("ChatGPT" in one["value"] for one in said) == (kind_of(name) == BLOCKED)


def test_duplicates_and_dirt_are_found_and_nothing_else(tmp_path: Path) -> None:
    write_pages(tmp_path / "pages.json", 300)
    planted = Counter(kind_of(row["id"]) for row in json.loads((tmp_path / "pages.json").read_text()))
    near, same = (
        cleaning.measure(way, tmp_path / "pages.json") for way in (cleaning.NEAR_DUPLICATES, cleaning.SAME_RULES)
    )
    assert near.left == {"": planted[""], HALF: planted[HALF]}
    assert same.left == {"": planted[""], HALF: planted[HALF], NEAR: planted[NEAR]}
    assert 0 < near.cpu_s < 60
    assert 10 < near.peak_mb < 1000
    table: Table = cleaning._found({cleaning.NEAR_DUPLICATES: [near]}, planted)
    assert table.rows[0][1:] == (100, 100, 100, 100, 0, 0)


def test_what_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"one core ended with \d:[^$]*absent\.json"):
        cleaning.measure(cleaning.NEAR_DUPLICATES, tmp_path / "absent.json")
