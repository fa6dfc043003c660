"""A board for readers: each form says the same numbers, and nobody's name becomes markup or a formula."""

import csv
import io
import json
import pickle
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from fastchat.arena.leaderboard.board import OVERALL, Board, ModelFacts
from fastchat.arena.leaderboard.building import BoardOptions, build
from fastchat.arena.leaderboard.facts import read_facts
from fastchat.arena.leaderboard.rendering import terminal
from fastchat.arena.leaderboard.rendering.csv import csv_table, plain
from fastchat.arena.leaderboard.rendering.fastchat_pickle import Beside, fastchat_pickle, fastchat_results
from fastchat.arena.leaderboard.rendering.markdown import markdown
from fastchat.arena.leaderboard.rendering.site import csv_name, page, write_site
from fastchat.arena.leaderboard.votes import table
from fastchat.core.errors import SetupError
from fastchat.web.result_files import read_results

from .votes import STRENGTHS, rows

EVIL = "<script>alert(1)</script>|*_`[x](javascript:alert(1))"
FORMULA = '=HYPERLINK("http://example.org")'
NAMES = {"ace": EVIL, "bee": FORMULA}


@pytest.fixture(scope="module")
def board() -> Board:
    columns = rows(600)
    for side in ("model_a", "model_b"):
        columns[side] = [NAMES.get(name, name) for name in columns[side]]
    columns |= {f"tokens_{side}": [100 + (7 * at + ord(side)) % 13 for at in range(600)] for side in "ab"}
    columns |= {f"first_token_s_{side}": [0.1 + (at + ord(side)) % 7 for at in range(600)] for side in "ab"}
    columns["category"] = ["../../etc/passwd" if at % 2 else EVIL for at in range(600)]
    facts = {
        EVIL: ModelFacts(organization=EVIL, license="-2+3", link="javascript:alert(1)", price=3.0),
        "cat": ModelFacts(title="Cat | 1", organization="Cats", link='https://example.org/("x")<y>', price=1.0),
    }
    options = BoardOptions(style_control=True)
    return build(table(columns), options, now=1_700_000_000.0, facts=facts)


class Page(HTMLParser):
    """Everything that a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> Iterator[str]:
        return (attributes[name] or "" for _, attributes in self.tags if name in attributes)


def test_the_page_fetches_nothing_and_runs_only_our_script(board: Board) -> None:
    text = page(board, EVIL)
    read = Page(text)
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert not {"link", "img", "iframe", "object", "base"} & {tag for tag, _ in read.tags}
    assert not list(read.values("src"))
    assert not list(read.values("style"))
    assert all(re.match(r"https://example\.org/|[\w-]+\.(csv|json)$", link) for link in read.values("href"))
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert "default-src 'none'" in next(value for value in read.values("content") if "src" in value)
    assert EVIL in read.texts
    assert FORMULA in read.texts


def test_the_page_has_every_rating(board: Board) -> None:
    read = Page(page(board, "Board"))
    views = [attributes for tag, attributes in read.tags if "data-style" in attributes]
    assert len(views) == 2 * len(board.categories)
    for category in board.categories.values():
        for row in (*category.models, *(category.raw or ())):
            assert f"{row.rating:.0f}" in read.texts
            assert f"+{row.upper - row.rating:.0f} / −{row.rating - row.lower:.0f}" in read.texts


def test_the_page_explains_its_table_and_leaves_out_what_says_nothing(board: Board) -> None:
    text = page(board, "Board")
    assert "95 % interval" in text
    assert "How to read this table" in text
    assert "<p>This is of all votes, whichever category is chosen above.</p>" in text
    overall = board.categories[OVERALL]
    alike = tuple(row.model_copy(update={"tier": 1}) for row in overall.models)
    one = overall.model_copy(update={"models": alike, "raw": None, "votes": 1, "how": "what is in it."})
    parameters = {**board.parameters, "confidence": 0.8}
    small = board.model_copy(update={"categories": {OVERALL: one}, "facts": {}, "parameters": parameters})
    text = page(small, "Board")
    assert f"1 vote on {len(alike)} models, 1 category." in text
    assert "what is in it.." not in text
    assert "80 % interval" in text
    for absent in (">Tier<", ">Organization<", ">License<", "<select", "whichever category"):
        assert absent not in text


def test_every_rating_is_drawn_and_maps_say_what_is_left_out(board: Board) -> None:
    overall = board.categories[OVERALL]
    many = tuple(overall.models[0].model_copy(update={"name": f"model-{at}"}) for at in range(70))
    category = overall.model_copy(update={"models": many, "raw": None})
    text = page(board.model_copy(update={"categories": {OVERALL: category}}), "Board")
    assert text.count("<title>model-69: ") == 4  # its rating and its votes, for wide screens and for narrow ones
    assert "25 of 70 models are drawn: the first ones." in text


def test_the_site_stays_in_its_folder(board: Board, tmp_path: Path) -> None:
    written = write_site(board, tmp_path / "site", "Board")
    assert {file.parent for file in written} == {tmp_path / "site"}
    assert len(set(written)) == len(written) == 2 + len(board.categories)
    assert Board.model_validate_json((tmp_path / "site" / "board.json").read_text()) == board
    assert csv_name("code") == "code.csv"
    assert csv_name("a/b") != csv_name("a.b") != csv_name("a b")


def test_csv_is_numbers_and_text_but_no_formula(board: Board) -> None:
    read = list(csv.DictReader(io.StringIO(csv_table(board, OVERALL))))
    overall = board.categories[OVERALL]
    assert [float(row["rating"]) for row in read] == [row.rating for row in overall.models]
    assert {row["name"] for row in read} >= {f"'{FORMULA}", "cat"}
    assert {row["license"] for row in read} >= {"'-2+3"}
    raw = list(csv.DictReader(io.StringIO(csv_table(board, OVERALL, raw=True))))
    assert [float(row["rating"]) for row in raw] == [row.rating for row in overall.raw or ()]
    assert [plain(text) for text in ("a=b", "@x", "\tx", "+1", "-1")] == ["a=b", "'@x", "'\tx", "'+1", "'-1"]


def test_markdown_is_one_table_with_no_markup_of_others(board: Board) -> None:
    read = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown(board, OVERALL)))
    assert {tag for tag, _ in read.tags} == {"table", "thead", "tbody", "tr", "th", "td", "a"}
    assert list(read.values("href")) == ["https://example.org/%28%22x%22%29%3Cy%3E"]
    assert "Cat | 1" in read.texts
    assert any(EVIL in text for text in read.texts)
    assert [tag for tag, _ in read.tags].count("tr") == 1 + len(STRENGTHS)


def test_the_terminal_shows_every_model(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show(board, OVERALL)
    shown = capsys.readouterr().out
    assert "600 votes" in shown
    assert all(f"{row.rating:.0f}" in shown for row in board.categories[OVERALL].models)
    with pytest.raises(SetupError, match="overall"):
        terminal.show(board, "none")


def test_fastchats_pickle_is_what_its_readers_expect(board: Board, tmp_path: Path) -> None:
    drawn = {name: [1000.0, 1001.0] for name in ("cat", "dog")}
    content = fastchat_pickle(board, {OVERALL: Beside(online={"cat": 1001.0}, draws=drawn)})
    assert b"pyarrow" not in content  # which FastChat does not have
    results = pickle.loads(content)
    assert set(results) == {"full", "full_style_control"} | {
        key for name in board.categories if name != OVERALL for key in (name, f"{name}_style_control")
    }
    full, overall = results["full"], board.categories[OVERALL]
    assert set(full) == {
        "rating_system", "elo_rating_online", "elo_rating_final", "leaderboard_table", "win_fraction_heatmap",
        "battle_count_heatmap", "average_win_rate_bar", "bootstrap_elo_rating", "last_updated_datetime",
        "last_updated_tstamp", "bootstrap_df", "leaderboard_table_df", "style_coefficients",
    }  # fmt: skip
    frame = full["leaderboard_table_df"]
    assert list(frame.columns) == ["rating", "variance", "rating_q975", "rating_q025", "num_battles", "final_ranking"]
    assert frame.loc["cat", "rating"] == next(row.rating for row in overall.raw or () if row.name == "cat")
    assert full["elo_rating_online"] == {"cat": 1001.0}
    assert list(full["bootstrap_df"]) == ["cat", "dog"]
    assert set(results["full_style_control"]["style_coefficients"]["final"]) == {"length"}
    assert full["win_fraction_heatmap"].data[0].z[0][0] is None
    file = tmp_path / "results.pkl"
    file.write_bytes(content)
    [ours] = [one for one in read_results(elo=file).categories if one.key == "full"]
    assert {one.model: one.rating for one in ours.ratings} == {row.name: row.rating for row in overall.raw or ()}


def test_a_board_without_style_has_one_result_a_category(board: Board) -> None:
    plain_board = board.model_copy(
        update={"categories": {OVERALL: board.categories[OVERALL].model_copy(update={"raw": None, "coefficients": ()})}}
    )
    results = fastchat_results(plain_board)
    assert list(results) == ["full"]
    assert results["full"]["style_coefficients"] == {}


def test_facts_come_from_fastchats_table_and_from_yaml(tmp_path: Path) -> None:
    theirs = read_facts(Path(__file__).parents[2] / "data" / "leaderboard" / "leaderboard_table.csv")
    assert (theirs["gpt-4o"].title, theirs["gpt-4o"].organization) == ("GPT-4o", "OpenAI")
    assert theirs["koala-13b"].link == ""  # it was javascript:
    file = tmp_path / "models.yaml"
    file.write_text("gpt-4: {organization: OpenAI, price: 10, family: gpt}\n")
    assert read_facts(file)["gpt-4"] == ModelFacts(organization="OpenAI", price=10, family="gpt")
    for wrong, word in (("gpt-4: {colour: red}", "colour"), ("- gpt-4", "a line"), (": [", "YAML")):
        file.write_text(wrong)
        with pytest.raises(SetupError, match=word):
            read_facts(file)
    with pytest.raises(SetupError, match="cannot be read"):
        read_facts(tmp_path / "none.csv")


def test_medians_come_from_the_votes(board: Board) -> None:
    assert board.facts["cat"].first_token_s is not None
    assert board.facts["cat"].title == "Cat | 1"
    assert json.loads(board.model_dump_json())["facts"]["dog"]["tokens"] > 100
