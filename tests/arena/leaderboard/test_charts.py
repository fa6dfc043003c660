"""Charts are SVG that stands in any page: well formed, told in words, and harmless whatever models are called."""

from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from fastchat.arena.leaderboard import charts
from fastchat.arena.leaderboard.charts import Dot, Moment

EVIL = "</title><script>alert('x')</script>&\"\x00\x1b[31m"


class Row(NamedTuple):
    name: str
    rating: float
    lower: float
    upper: float


class Pair(NamedTuple):
    model_a: str
    model_b: str
    votes: int
    wins_a: float
    wins_b: float
    ties: float = 0
    both_bad: float = 0


ROWS = [Row("ace", 1100, 1080, 1120), Row(EVIL, 900, 850, 960)]
PAIRS = [Pair("ace", EVIL, 10, 6, 2, 1, 1), Pair("ace", "elsewhere", 4, 2, 2)]
NAMES = [row.name for row in ROWS]
MOMENTS = [Moment(1.7e9, {"ace": 1000, EVIL: 1000}), Moment(1.7e9 + 86400, {"ace": 1100, EVIL: 900})]
DRAWN = {
    "ratings": charts.ratings(ROWS, EVIL),
    "win_rates": charts.win_rates(NAMES, PAIRS, EVIL),
    "battle_counts": charts.battle_counts(NAMES, PAIRS, EVIL),
    "scatter": charts.scatter([Dot("ace", 10, 1100), Dot(EVIL, 20, 900)], EVIL, EVIL, EVIL, better="less"),
    "history": charts.history(MOMENTS, NAMES, EVIL),
}


def drawings(svg: str) -> list[ElementTree.Element]:
    """One, or a wide and a narrow one."""
    return list(ElementTree.fromstring(f"<both>{svg}</both>"))


def texts(svg: str) -> list[str]:
    return [element.text for drawing in drawings(svg) for element in drawing.iter() if element.text]


@pytest.mark.parametrize("svg", DRAWN.values(), ids=DRAWN)
def test_every_chart_is_harmless_and_has_a_name(svg: str) -> None:
    for root in drawings(svg):
        kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert kinds <= {"svg", "title", "g", "text", "line", "circle", "rect", "polyline"}
        assert root.get("role") == "img"
        assert root[0].tag.endswith("title")
        assert root[0].text == root.get("aria-label") == EVIL.replace("\x00", "").replace("\x1b", "")
        assert not any(name.startswith("on") or name == "href" for element in root.iter() for name in element.attrib)
    assert "nan" not in svg.replace("font", "")


@pytest.mark.parametrize("name", ["ratings", "scatter", "history"])
def test_a_phone_gets_a_drawing_of_its_own(name: str) -> None:
    wide, narrow = drawings(DRAWN[name])
    assert (wide.get("class"), narrow.get("class")) == ("fc-chart fc-wide", "fc-chart fc-narrow")
    assert float(narrow.get("width", "")) < 350
    for drawing in (wide, narrow):
        width = float(drawing.get("width", ""))
        places = [float(element.get("cx", "")) for element in drawing.iter() if element.tag.endswith("circle")]
        assert places
        assert all(0 < place < width for place in places)


def test_names_above_the_columns_of_a_map_are_whole() -> None:
    [drawing] = drawings(charts.win_rates(["M" * 25, "W" * 25], [Pair("M" * 25, "W" * 25, 2, 1, 1)], "t"))
    turned = [element for element in drawing.iter() if element.get("transform")]
    assert len(turned) == 2
    for element in turned:
        length = 10 * len(element.text or "")  # letters of 10 pixels, at 60 degrees
        assert float(element.get("x", "")) + length / 2 < float(drawing.get("width", ""))
        assert float(element.get("y", "")) > length * 0.86


def test_a_day_is_named_by_itself_and_not_by_the_midnight_after_it() -> None:
    midnights = [Moment(1_699_920_000.0, {"ace": 1000}), Moment(1_700_006_400.0, {"ace": 1010})]
    said = texts(charts.history(midnights, ["ace"], "t"))
    assert {"2023-11-13", "2023-11-14"} <= set(said)
    assert "2023-11-15" not in said


@pytest.mark.parametrize("at", [0, 1])
def test_ratings_are_placed_by_their_size(at: int) -> None:
    root = drawings(DRAWN["ratings"])[at]
    dots = [float(element.get("cx", "")) for element in root.iter() if element.tag.endswith("circle")]
    bars = [
        (float(element.get("x1", "")), float(element.get("x2", "")))
        for element in root.iter()
        if element.tag.endswith("line") and element.get("stroke-width") == "3"
    ]
    assert dots[0] > dots[1]
    assert all(start < dot < end for dot, (start, end) in zip(dots, bars, strict=True))
    assert "ace: 1100.0 (1080.0 – 1120.0)" in texts(DRAWN["ratings"])


def test_win_rates_count_ties_as_half_and_both_ways() -> None:
    said = texts(DRAWN["win_rates"])
    assert {"70", "30"} <= set(said)
    assert not any("elsewhere" in text for text in said)
    assert texts(DRAWN["battle_counts"]).count("10") == 2


def test_pareto_front_is_what_nothing_beats() -> None:
    dots = [
        Dot("cheap", 1, 900),
        Dot("worse", 2, 890),
        Dot("good", 3, 1000),
        Dot("dear", 9, 1000),
        Dot("best", 9, 1100),
    ]
    assert [dot.name for dot in charts.pareto_front(dots, "less")] == ["cheap", "good", "best"]
    assert [dot.name for dot in charts.pareto_front(dots, "more")] == ["best"]


@pytest.mark.parametrize(
    "dots", [[Dot("one", 5, 1000)], [Dot("x", 1, 1), Dot("y", 1, 1)], [Dot("x", 1e-6, 1), Dot("y", 1e9, 2)]]
)
def test_scatter_of_few_or_far_apart(dots: list[Dot]) -> None:
    for root in drawings(charts.scatter(dots, "t", "x", "y", better="less")):
        places = [float(element.get("cx", "")) for element in root.iter() if element.tag.endswith("circle")]
        assert len(places) == len(dots)
        assert all(0 < place < float(root.get("width", "")) for place in places)


def test_nothing_to_draw_is_nothing() -> None:
    assert charts.ratings([], "t") == ""
    assert charts.win_rates([], [], "t") == ""
    assert charts.scatter([], "t", "x", "y") == ""
    assert charts.scatter([Dot("free", 0, 1000)], "t", "x", "y") == ""  # has no place on a logarithm
    assert charts.history([MOMENTS[0]], NAMES, "t") == ""


def test_same_input_same_bytes() -> None:
    assert charts.history(MOMENTS, NAMES, EVIL) == DRAWN["history"]
