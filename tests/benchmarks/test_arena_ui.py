from collections.abc import Mapping

import pytest

from benchmarks.arena_ui import API, CHAT, NOBODY, PAGE, PANES, Extent, measure
from benchmarks.results import Table


def _by_way(table: Table) -> Mapping[str, Mapping[str, float]]:
    """Way → column → what was measured."""
    ways = {}
    for _, way, *cells in table.rows:
        named = zip(table.columns[2:], cells, strict=True)
        ways[str(way)] = {column: float(cell) for column, cell in named if cell is not None}
    return ways


@pytest.mark.timeout(120)
def test_two_battles_are_measured_over_the_page_and_over_the_api() -> None:
    findings = measure(Extent((2,), (API, PAGE), 1, 1.0))
    shown = _by_way(findings.tables[0])
    for way in (API, PAGE):
        assert 1 < shown[way]["flushes/s each"] < 12  # ten, on a machine with time for them
        assert shown[way]["delivery p50 ms"] < shown[way]["token p50 ms"]
        assert shown[way]["first token ms"] > 0
    memory = _by_way(findings.tables[1])
    assert all(memory[way]["that battles"] > 0 for way in (API, PAGE))
    assert {aim.key for aim in findings.aims} == {"arena_ui_delivery", "arena_ui_rate", "arena_ui_api"}


@pytest.mark.full
@pytest.mark.timeout(120)
def test_plain_gradio_is_measured_like_ours_and_the_writing_alone() -> None:
    shown = _by_way(measure(Extent((2,), (NOBODY, PANES, CHAT), 1, 1.0)).tables[0])
    assert shown[NOBODY]["cores used"] > 0
    assert shown[NOBODY]["flushes/s each"] == 0
    assert all(1 < shown[way]["flushes/s each"] < 12 for way in (PANES, CHAT))
    assert all(shown[way]["delivery p50 ms"] < shown[way]["token p50 ms"] for way in (PANES, CHAT))
