import json
import re
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
import pytest
from playwright.async_api import Browser, expect

from fastchat.commands import bench
from fastchat.llm_judge.results import show
from fastchat.llm_judge.results.checked import Checked
from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.site.plots import plots, plots_page
from tests.llm_judge.results.judgments import mamba, prd_pairs
from tests.llm_judge.results.test_report import write
from tests.llm_judge.rows import question
from tests.web.conftest import browser

__all__ = ["browser"]

HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    scores, categories = mamba()
    write(folder / "question.jsonl", [question(at, "?", category=name) for at, name in categories.items()])
    named = [row.model_copy(update={"model": HOSTILE}) if row.model == "dolly-v2-3b" else row for row in scores]
    write(folder / "model_judgment" / "judge_single.jsonl", named)
    write(folder / "model_judgment" / "judge_pair.jsonl", prd_pairs("gpt4"))
    return folder


def test_every_figure_is_one_of_plotlys(folder: Path) -> None:
    drawn = list(plots(show(folder)))
    assert [plot.title for plot in drawn] == [
        "Scores by judge",
        "Scores by judge and category",
        "Win rates by judge",
        "Ratings by judge (Bradley-Terry)",
        "Who beats whom, by judge",
    ]
    for plot in drawn:
        go.Figure(plot.figure)  # raises where a name or a value is none of its
    bars, radar, rates, _, matrix = (plot.figure["data"] for plot in drawn)
    assert max(bars[0]["x"]) == 7.3125
    assert (len(radar), len(radar[0]["theta"])) == (6, 9)
    ends = zip(rates[0]["x"], rates[0]["error_x"]["array"], strict=True)
    assert all(value + more <= 1 for value, more in ends)
    names = matrix[0]["y"]
    won = matrix[0]["z"][names.index("gpt4")][names.index("bard")]
    assert won + matrix[0]["z"][names.index("bard")][names.index("gpt4")] == pytest.approx(1)
    assert matrix[0]["z"][0][0] is None


def test_programs_that_were_run_have_bars(folder: Path) -> None:
    ran = Checked("m", Estimate(0.5, 0.1, 0.3, 0.7), {}, 20)
    first = next(plots(replace(show(folder), checked=(ran,))))
    go.Figure(first.figure)
    bars = first.figure["data"][0]
    assert (bars["x"], bars["error_x"]["array"]) == ([0.5], [pytest.approx(0.2)])


def test_the_page_stands_alone(folder: Path) -> None:
    page = plots_page(show(folder))
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found
    assert len(json.loads(found[1])) == 5
    assert HOSTILE not in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page.partition('id="figures"')[0])
    assert "default-src 'none'" in page


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_a_browser_draws_them(folder: Path, tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "plots.html").write_text(plots_page(show(folder)))
    page = await browser.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    await page.goto((tmp_path / "plots.html").as_uri())
    await expect(page.locator(".plot .main-svg").first).to_be_visible()
    await expect(page.locator(".plot:has(.main-svg)")).to_have_count(5)
    await expect(page.locator("#plot-4 .heatmaplayer image")).to_have_count(1)
    await page.close()
    assert problems == []


def test_plots_are_written_beside_what_is_shown(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.main(["show", str(folder), "--json", "--plots", str(tmp_path / "plots.html")])
    assert json.loads(capsys.readouterr().out)["name"] == folder.name
    assert "Plotly" in (tmp_path / "plots.html").read_text("utf-8")
